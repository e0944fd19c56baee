package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// exampleServer is the address in the examples of the help.
const exampleServer = "https://strongroom.example"

// clientCommands returns the names of the client commands, as the help lists them.
func clientCommands(t *testing.T) (names []string) {
	t.Helper()
	_, list, _ := strings.Cut(mustRun(t).stdout, "Your secrets on a server:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		names = append(names, strings.Fields(line)[0])
	}
	if len(names) < 16 || !slices.Contains(names, "login") {
		t.Fatalf("the help lists %v", names)
	}
	return names
}

// examplesOf returns the examples in the help of a command.
func examplesOf(t *testing.T, name string) (lines []string) {
	t.Helper()
	_, text, _ := strings.Cut(mustRun(t, "help", name).stdout, "Examples:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	if len(lines) == 0 {
		t.Errorf("the help of %s has no example", name)
	}
	return lines
}

// The commands that the examples run with secrets. Each fails without its secret.
var exampleTools = map[string]string{
	"bin/psql":    `test "$PGPASSWORD" = pw`,
	"bin/npm":     `test "$GITHUB_TOKEN" = ghp_x`,
	"bin/nginx":   `test "$(cat "$GITHUB_TOKEN_FILE")" = ghp_x`,
	"bin/kubectl": `grep -q Z2hwX3g=`, // ghp_x
	"work/server": `test "$GITHUB_TOKEN" = ghp_x`,
}

// exampleFiles are the files that the examples read.
var exampleFiles = map[string]string{
	"server.key":    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
	".env":          "GITHUB_TOKEN=ghp_imported\n",
	"secrets.json":  `{"db":{"PASSWORD":"other"}}`,
	"db.env":        "PASSWORD=imported\n",
	"vault.json":    `{"request_id":"r","data":{"data":{"FROM_VAULT":"v"},"metadata":{"version":1}}}`,
	"app.conf.tmpl": `token = {{secret "me" "GITHUB_TOKEN"}}` + "\n",
}

// A stage is where the examples run: a shell at a terminal, a person and a server.
type stage struct {
	person
	shell    *shell
	dir      string
	replaces *strings.Replacer
}

func mustSetStage(t *testing.T) *stage {
	t.Helper()
	p := mustLogIn(t)
	p.useFast(t)
	p.serveVault(t, true) // for history
	s := &stage{person: p, dir: mustTempDir(t)}
	for name, text := range exampleTools {
		path := filepath.Join(s.dir, name)
		mustWork(t, os.MkdirAll(filepath.Dir(path), 0o700))
		mustWork(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	}
	memory, err := os.MkdirTemp("/dev/shm", "examples")
	mustWork(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(memory) })
	mustWork(t, os.Mkdir(filepath.Join(s.dir, "run"), 0o700))
	s.replaces = strings.NewReplacer(exampleServer, "http://"+p.server.address, "/dev/shm/app", memory+"/app", "/run/app/", s.dir+"/run/")
	s.shell = mustOpenShell(t, filepath.Join(s.dir, "work"), append(mustOpenDisplay(t),
		"HOME="+p.home, "PATH="+filepath.Join(s.dir, "bin")+":"+filepath.Dir(*p.program)+":"+os.Getenv("PATH"), "EDITOR=sed -i s/pw/pw2/")...)
	return s
}

// reset makes the secrets, profiles and files that every command's examples begin with.
func (s *stage) reset(t *testing.T, command string) {
	t.Helper()
	for _, profile := range []string{"work", "staging", "production", "default"} {
		for _, key := range []string{s.in.sessionKey, s.in.psk} {
			if r := s.feed(t, key, "login", "http://"+s.server.address, "--stdin", "--profile", profile); r.code != 0 {
				t.Fatal(r.stderr)
			}
		}
	}
	for _, owner := range []string{"me", theApp} {
		for name := range strings.Lines(s.must(t, "ls", owner)) {
			if name = strings.Fields(name)[0]; name != "NAME" {
				s.must(t, "rm", owner, name, "--yes")
			}
		}
	}
	s.mustSet(t, "ghp_x", "GITHUB_TOKEN")
	s.mustSet(t, "npm_x", "NPM_TOKEN")
	s.mustSet(t, "pw", theApp, "db.PASSWORD")
	s.mustSet(t, "app", theApp, "db.USER")
	for name, text := range exampleFiles {
		mustWrite(t, filepath.Join(s.dir, "work", name), text)
	}
	if command == "export" { // which does not replace a file
		mustWork(t, os.Remove(filepath.Join(s.dir, "work/secrets.json")))
	}
}

// answers to the prompts.
func (s *stage) answer(prompt string) string {
	switch {
	case strings.HasPrefix(prompt, "API key"):
		return s.in.sessionKey
	case strings.HasPrefix(prompt, "Value of"):
		return "typed"
	}
	return "yes"
}

var promptAtEnd = regexp.MustCompile(`(?m)(API key|Value of \S+|Type yes): $`)

// play types an example, answers its prompts and returns its exit code and output.
func (s *stage) play(t *testing.T, example string) (code, out string) {
	t.Helper()
	line := s.replaces.Replace(example)
	if strings.Contains(line, " --stdin") {
		line = "printf %s " + s.answer(map[bool]string{true: "API key", false: "Value of it"}[strings.Contains(line, " login ")]) + " | " + line
	}
	from := len(s.shell.output.String())
	_, err := fmt.Fprintln(s.shell.terminal, line+`; echo "code $?"`)
	mustWork(t, err)
	from += len(line)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text := s.shell.output.String()
		if len(text) <= from {
			continue
		}
		if prompt := promptAtEnd.FindString(text[from:]); prompt != "" {
			from = len(text)
			_, err := fmt.Fprintln(s.shell.terminal, s.answer(prompt))
			mustWork(t, err)
		}
		if found := regexp.MustCompile(`(?m)^code (\d+)`).FindStringSubmatch(text[from:]); found != nil && strings.HasSuffix(text, shellPrompt) {
			return found[1], text[from:]
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not end:\n%s", example, text)
		}
	}
}

// Every example in the help of a client command works as described, at a terminal and
// with a real server.
func TestExamplesInTheHelpOfClientCommandsRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skipf("THE EXAMPLES IN THE HELP ARE NOT TESTED: %v", err)
	}
	s := mustSetStage(t)
	examples := 0
	for _, name := range clientCommands(t) {
		s.reset(t, name)
		for _, example := range examplesOf(t, name) {
			switch {
			case strings.Contains(example, "login") && strings.Contains(example, "--device"):
				continue // needs an identity provider: internal/test/oidctest runs it
			case strings.Contains(example, "--clip") && !hasDisplay():
				t.Logf("%s IS NOT TESTED: it needs xclip and Xvfb", example)
				continue
			}
			if code, out := s.play(t, example); code != "0" || strings.Contains(out, "strongroom: ") {
				t.Errorf("%s: exit code %s:\n%s", example, code, out)
			}
			examples++
		}
		s.check(t, name)
	}
	if examples < 35 {
		t.Errorf("there are only %d examples", examples)
	}
}

// check checks the effects of a command's examples.
func (s *stage) check(t *testing.T, name string) {
	t.Helper()
	for _, effect := range map[string][][2]string{
		"set":    {{"typed", "get GITHUB_TOKEN"}, {"typed", "get " + theApp + " db.PASSWORD"}, {exampleFiles["server.key"], "get TLS_KEY"}},
		"mv":     {{"ghp_x", "get GH_TOKEN"}, {"pw", "get " + theApp + " database.PASSWORD"}},
		"rm":     {{"", "ls " + theApp}},
		"edit":   {{"pw2", "get " + theApp + " db.PASSWORD"}},
		"import": {{"ghp_imported", "get GITHUB_TOKEN"}, {"imported", "get " + theApp + " db.PASSWORD"}, {"v", "get FROM_VAULT"}},
	}[name] {
		s.want(t, effect[0], strings.Fields(effect[1])...)
	}
	work := filepath.Join(s.dir, "work")
	for path, want := range map[string]map[string]string{
		"get":      {filepath.Join(work, "password"): "pw"},
		"export":   {filepath.Join(work, ".env"): "GITHUB_TOKEN=ghp_x\nNPM_TOKEN=npm_x\n"},
		"template": {filepath.Join(work, "app.conf"): "token = ghp_x\n", filepath.Join(s.dir, "run/app.conf"): "token = ghp_x\n"},
	}[name] {
		if got := mustRead(t, path); got != want {
			t.Errorf("%s: %s has %q, want %q", name, path, got, want)
		}
	}
}
