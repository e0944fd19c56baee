package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A person uses the client commands with a config directory of their own.
type person struct {
	home   string
	env    []string
	server *process
	in     install

	program *string // nil: the one with the race detector
}

// mustLogIn starts a server and logs a person in with both keys.
func mustLogIn(t *testing.T) person {
	t.Helper()
	i := mustInit(t)
	p := person{home: mustTempDir(t), server: mustServe(t, i), in: i}
	for _, key := range []string{i.sessionKey, i.psk} {
		if r := p.feed(t, key+"\n", "login", "http://"+p.server.address, "--stdin"); r.code != 0 {
			t.Fatalf("login: %s", r.stderr)
		}
	}
	p.must(t, "alias", "shop", theApp)
	return p
}

// command returns the program with an environment that has nothing of this test's own.
func (p person) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path := program
	if p.program != nil {
		path = *p.program
	}
	cmd := commandOf(t, path, args...)
	cmd.Env = append([]string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}, p.env...)
	return cmd
}

func (p person) feed(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(t, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil
	}
	mustWork(t, err)
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (p person) run(t *testing.T, args ...string) result {
	t.Helper()
	return p.feed(t, "", args...)
}

func (p person) must(t *testing.T, args ...string) string {
	t.Helper()
	r := p.run(t, args...)
	if r.code != 0 {
		t.Fatalf("strongroom %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

func (p person) mustSet(t *testing.T, value string, args ...string) {
	t.Helper()
	if r := p.feed(t, value, append([]string{"set", "--stdin"}, args...)...); r.code != 0 {
		t.Fatalf("set %s: %s", strings.Join(args, " "), r.stderr)
	}
}

func (p person) want(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := p.must(t, args...); got != want {
		t.Errorf("strongroom %s: got %q, want %q", strings.Join(args, " "), got, want)
	}
}

func TestValuesOfBothKindsAreSetReadAndRemoved(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "ghp_x\n", "GITHUB_TOKEN", "--description", "for pull requests")
	p.want(t, "ghp_x", "get", "GITHUB_TOKEN")
	p.mustSet(t, "ghp_y", "GITHUB_TOKEN") // keeps the description
	p.want(t, "NAME          KEYS   DESCRIPTION\nGITHUB_TOKEN  value  for pull requests\n", "ls")
	p.mustSet(t, "app", "shop", "db.USER")
	p.mustSet(t, "hunter2", "shop", "db.PASSWORD")
	p.mustSet(t, "correct horse", "shop", "db.PASSWORD")
	p.want(t, "correct horse", "get", "shop", "db.PASSWORD")
	p.want(t, "app", "get", theApp, "db", "--key", "USER")
	wantRefusal(t, p.run(t, "get", "shop", "db"), "db has several values: name one of db.PASSWORD, db.USER")
	wantRefusal(t, p.run(t, "get", "shop", "db.NONE"), "db has no data key NONE: it has PASSWORD, USER")
	wantRefusal(t, p.run(t, "get", "NOTHING"), "NOTHING: ")
	p.want(t, `[{"name":"db","keys":["PASSWORD","USER"],"created":"`+created(t, p)+`"}]`+"\n", "ls", "shop", "-o", "json")

	p.must(t, "mv", "GITHUB_TOKEN", "GH_TOKEN")
	p.want(t, "ghp_y", "get", "GH_TOKEN")
	p.must(t, "mv", "shop", "db", "database")
	p.want(t, "correct horse", "get", "shop", "database.PASSWORD")
	wantRefusal(t, p.run(t, "rm", "GH_TOKEN"), "This deletes GH_TOKEN.", "add --yes")
	p.must(t, "rm", "shop", "database.USER", "--yes")
	p.want(t, "correct horse", "get", "shop", "database")
	p.must(t, "rm", "GH_TOKEN", "--yes")
	p.want(t, "", "ls")
	if all := p.must(t, "ls", "--all"); !strings.Contains(all, "database  PASSWORD") || !strings.Contains(all, "shop") {
		t.Errorf("ls --all: %s", all)
	}
	if who := p.must(t, "whoami"); !strings.Contains(who, "two API keys") || !strings.Contains(who, "shop   1") {
		t.Errorf("whoami: %s", who)
	}
}

// created returns the time that the list shows.
func created(t *testing.T, p person) string {
	t.Helper()
	var list []struct{ Created string }
	mustDecode(t, p.must(t, "ls", "shop", "-o", "json"), &list)
	return list[0].Created
}

func TestLoginStoresTheKeyWhereOnlyTheUserCanReadIt(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	file := filepath.Join(p.home, ".config/strongroom/credentials.json")
	info, err := os.Stat(file)
	mustWork(t, err)
	if info.Mode().Perm() != 0o600 || !strings.Contains(mustRead(t, file), p.in.psk) {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if config := mustRead(t, filepath.Join(p.home, ".config/strongroom/client.yaml")); strings.Contains(config, "srk_") {
		t.Errorf("client.yaml has a key:\n%s", config)
	}
	mustWork(t, os.Chmod(file, 0o644))
	wantRefusal(t, p.run(t, "ls"), "other users can read", "chmod 600")
	mustWork(t, os.Chmod(file, 0o600))
	p.must(t, "logout")
	wantRefusal(t, p.run(t, "ls"), "not logged in: strongroom login http://")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the last logout the file is still there: %v", err)
	}
}

func TestLoginRefusesWrongKeysAndURLs(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	for _, tc := range []struct{ url, key, says string }{
		{"http://" + p.server.address, "srk_wrong", "the server accepts this API key for no secrets"},
		{"http://strongroom.example", "k", "http would send the credential unencrypted"},
		{"strongroom.example", "k", "want the URL of a server"},
		{"ftp://strongroom.example", "k", "must begin with https://"},
		{"https://u:p@strongroom.example", "k", "want the URL of a server"},
		{"http://127.0.0.1:1", "k", "the server does not answer"},
	} {
		r := p.feed(t, tc.key, "login", tc.url, "--stdin", "--profile", "other")
		wantRefusal(t, r, tc.says)
		if strings.Contains(r.stderr, "srk_wrong") {
			t.Errorf("the error quotes the key: %s", r.stderr)
		}
	}
	wantRefusal(t, p.run(t, "login", "http://"+p.server.address), "there is no terminal to ask on: add --stdin")
	wantRefusal(t, p.run(t, "ls", "--profile", "other"), `there is no profile "other": there are default`)
}

// The URL in the config must not lead a stored credential to another server.
func TestStoredKeyIsSentToItsServerOnly(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	file := filepath.Join(p.home, ".config/strongroom/client.yaml")
	mustWrite(t, file, strings.Replace(mustRead(t, file), p.server.address, "127.0.0.1:1", 1))
	wantRefusal(t, p.run(t, "ls"), "the credential of profile default is for another server")
}

func TestJobsNeedOnlyTheEnvironment(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "v", "TOKEN")
	url := "STRONGROOM_URL=http://" + p.server.address
	job := person{home: mustTempDir(t), server: p.server}
	wantRefusal(t, job.run(t, "ls"), `there is no profile "default": log in first`)
	job.env = []string{url}
	wantRefusal(t, job.run(t, "ls"), "STRONGROOM_URL is set without a credential")
	job.env = []string{url, "STRONGROOM_API_KEY=" + p.in.sessionKey}
	job.want(t, "v", "get", "TOKEN")
	job.env = append(job.env, "STRONGROOM_TOKEN_FILE=/nowhere")
	wantRefusal(t, job.run(t, "ls"), "set only one of STRONGROOM_API_KEY, STRONGROOM_API_KEY_FILE and STRONGROOM_TOKEN_FILE")
	job.env = []string{url, "STRONGROOM_TOKEN_FILE=/nowhere"}
	wantRefusal(t, job.run(t, "ls"), "no such file")
	token := filepath.Join(job.home, "token")
	mustWrite(t, token, p.in.sessionKey+"\n")
	job.env = []string{url, "STRONGROOM_API_KEY_FILE=" + token}
	job.want(t, "v", "get", "TOKEN")
	// init's V1 accepts it as a bearer token; the other routes do not
	job.env = []string{url, "STRONGROOM_TOKEN_FILE=" + token}
	wantRefusal(t, job.run(t, "ls"), "the server does not accept this credential")
	if _, err := os.Stat(filepath.Join(job.home, ".config")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a job has written a config: %v", err)
	}
}

func TestCommandsGetSecretsInTheirEnvironment(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "ghp_x", "GITHUB_TOKEN")
	p.mustSet(t, "two\nlines\n\n", "NOTE")
	p.mustSet(t, "pw", "shop", "db.PASSWORD")
	p.mustSet(t, "postgres://", "shop", "db.url")
	p.mustSet(t, "k", "shop", "api-key")
	p.env = []string{"STRONGROOM_TARGET=", "KEPT=1", "NOTE=old"}
	for _, tc := range []struct{ want, args string }{
		{"GITHUB_TOKEN=ghp_x|KEPT=1|NOTE=two\nlines\n", "run --"},
		{"GITHUB_TOKEN=ghp_x|KEPT=1|NOTE=old", "run --only GITHUB_TOKEN --"},
		{"KEPT=1|NOTE=old|X_GITHUB_TOKEN=ghp_x", "run --only GITHUB_TOKEN --prefix X_ --"},
		{"API_KEY=k|DB_PASSWORD=pw|DB_URL=postgres://|KEPT=1|NOTE=old", "run shop --"},
		{"KEPT=1|NOTE=old|PGPASSWORD=pw", "run shop --only db.PASSWORD --env PGPASSWORD=db.PASSWORD --"},
		{"API_KEY=k|DB_URL=postgres://|KEPT=1|NOTE=old|PGPASSWORD=pw", "run shop --env PGPASSWORD=db.PASSWORD --"},
	} {
		if got := variables(p.must(t, append(strings.Fields(tc.args), "env", "-0")...)); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.args, got, tc.want)
		}
	}
	wantRefusal(t, p.run(t, "run", "env"), "want -- and the command to run")
	wantRefusal(t, p.run(t, "run", "--only", "NONE", "--", "env"), "NONE: ")
	wantRefusal(t, p.run(t, "run", "--env", "x", "--", "env"), "--env: ")
	wantRefusal(t, p.run(t, "run", "--env", "NOTE=GITHUB_TOKEN", "--", "env"), "NOTE and GITHUB_TOKEN would both be the variable NOTE")
	wantRefusalWith(t, p.run(t, "run", "--", "no-such-command"), 127, "there is no command no-such-command")
}

// variables returns the output of env -0, sorted, without those of every command in these tests.
func variables(out string) string {
	all := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	all = slices.DeleteFunc(all, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "HOME" || name == "PATH" || name == "GORACE"
	})
	slices.Sort(all)
	return strings.Join(all, "|")
}

// useFast makes the person use the binary without the race detector.
func (p *person) useFast(t *testing.T) {
	t.Helper()
	fast := mustBuildFast(t)
	p.program = &fast
}

// A lockedBuffer is written by a process while the test reads it.
type lockedBuffer struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// mustHave waits until the buffer has exactly this text.
func (b *lockedBuffer) mustHave(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(patience); b.String() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %q, want %q", b.String(), want)
		}
	}
}
