package main_test

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// mustInitDatabase is mustInit for a state in a new database.
func mustInitDatabase(t *testing.T, url string) install {
	t.Helper()
	file := filepath.Join(mustTempDir(t), "url")
	mustWrite(t, file, url+"\n")
	return mustInitBy(t, program, "--postgres", file)
}

func TestInitWithoutItsDatabaseLeavesNothing(t *testing.T) {
	dir := mustTempDir(t)
	file, made := filepath.Join(dir, "url"), filepath.Join(dir, "node")
	const url = "postgres://strongroom:hunter2@127.0.0.1:1/strongroom"
	mustWrite(t, file, url)
	for postgres, want := range map[string]string{
		file: "nothing was created: state.postgres: the database does not answer: ",
		url:  "--postgres: must be a file with the URL",
	} {
		r := run(t, "init", "--dir", made, "--postgres", postgres)
		if wantRefusal(t, r, want); strings.Contains(r.stderr, "hunter2") || strings.Contains(r.stderr, "store is unavailable") {
			t.Errorf("init says\n%s", r.stderr)
		}
		if _, err := os.Lstat(made); err == nil {
			t.Errorf("init left %s after: %s", made, r.stderr)
		}
	}
}

// another returns the install of another node.
func (i install) another(t *testing.T, name string) install {
	t.Helper()
	other := i.mustCopy(t)
	if err := os.RemoveAll(other.path("data")); err != nil {
		t.Fatal(err)
	}
	other.mustEdit(t, "strongroom.yaml", "cache: data/cache", "cache: data/cache, node: "+name)
	return other
}

func TestEveryNodeSeesEachChangeAtOnce(t *testing.T) {
	i := mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))
	second := i.another(t, "two")
	i.mustEdit(t, "strongroom.yaml", "cache: data/cache", "cache: data/cache, node: one")
	one, two := mustServe(t, i), mustServe(t, second)
	for range 20 {
		one.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
		two.want(t, 200, "GET", app+"/db", i.pskHeader(), "")
		two.want(t, 200, "DELETE", app+"/db", i.pskHeader(), "")
		one.want(t, 404, "GET", app+"/db", i.pskHeader(), "")
	}
	log := i.mustAdminister(t, "audit", "export")
	for action, node := range map[string]string{"create": "one", "delete": "two"} {
		pattern := regexp.MustCompile(`"node":"` + node + `","request":"\w+","action":"` + action + `"`)
		if got := len(pattern.FindAllString(log, -1)); got != 20 {
			t.Errorf("%d entries for %s by node %s, want 20", got, action, node)
		}
	}
}

// A state in a database whose key was removed again could only be dropped.
func TestInitLeavesNoStateInADatabaseIfAFileExists(t *testing.T) {
	t.Parallel()
	url, dir := pgtest.Start(t).NewDatabase(t), mustTempDir(t)
	file, keys, config := filepath.Join(dir, "url"), filepath.Join(dir, "api-keys"), filepath.Join(dir, "node", "strongroom.yaml")
	mustWrite(t, file, url+"\n")
	mustWork(t, os.Mkdir(filepath.Dir(config), 0o700))
	for _, exists := range []string{keys, config} {
		mustWrite(t, exists, "left from another time\n")
		wantRefusal(t, run(t, "init", "--dir", filepath.Dir(config), "--postgres", file, "--keys-out", keys), "nothing was created", exists, "exists")
		mustWork(t, os.Remove(exists))
	}
	mustRun(t, "init", "--dir", filepath.Dir(config), "--postgres", file, "--keys-out", keys)
}

// The server commits while the client has no connection.
func TestInitWhoseCommitIsNotAnsweredCanBeRepeated(t *testing.T) {
	t.Parallel()
	server, dir := pgtest.New(t), mustTempDir(t)
	proxy := pgtest.NewProxy(t, server.Address())
	url := server.NewDatabase(t)
	i := install{dir: filepath.Join(dir, "node")}
	mustWrite(t, filepath.Join(dir, "url"), pgtest.Via(url, proxy.Address())+"\n")
	server.Exec(t, "alter system set synchronous_standby_names = 'missing'")
	server.Exec(t, "select pg_reload_conf()")
	commit := func() {
		server.Exec(t, "alter system reset synchronous_standby_names")
		server.Exec(t, "select pg_reload_conf()")
	}
	t.Cleanup(commit) // else its end would wait, too
	var stdout, stderr bytes.Buffer
	cmd := command(t, "init", "--dir", i.dir, "--postgres", filepath.Join(dir, "url"))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	mustWork(t, cmd.Start())
	for deadline := time.Now().Add(patience); server.Exec(t, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") != "1"; {
		if time.Now().After(deadline) {
			t.Fatalf("init does not commit: %s", stderr.String())
		}
	}
	proxy.Refuse(true)
	err := cmd.Wait()
	if said := stderr.String(); err == nil || !strings.Contains(said, "the change may have happened") || !strings.Contains(said, "init --config "+i.config()+" --if-missing") {
		t.Fatalf("init: %v\n%s", err, said)
	}
	commit()
	for deadline := time.Now().Add(patience); mustQuery(t, url, "select to_regclass('strongroom.state') is not null") != "t"; {
		if time.Now().After(deadline) {
			t.Fatal("the server does not commit")
		}
	}
	proxy.Refuse(false)
	mustRun(t, "init", "--config", i.config(), "--if-missing")
	i.psk = strings.TrimPrefix(strings.Split(stdout.String(), "\n")[1], "Authorization-PSK: ")
	p := mustServe(t, i)
	p.want(t, 200, "GET", app, i.pskHeader(), "")
	p.mustStop(t)
	mustQuery(t, url, "drop schema strongroom cascade") // as if the commit had not happened
	mustRun(t, "init", "--config", i.config(), "--if-missing")
}

func TestKeysOfInitThatWereNotPrintedCanBeReplaced(t *testing.T) {
	t.Parallel()
	dir := mustTempDir(t)
	file, i := filepath.Join(dir, "url"), install{dir: filepath.Join(dir, "node")}
	mustWrite(t, file, pgtest.Start(t).NewDatabase(t)+"\n")
	stderr := mustInitWithoutOutput(t, "init", "--dir", i.dir, "--postgres", file)
	if !strings.Contains(stderr, "apikey rotate: their ids are in "+i.path("keys/session-keys.yaml")+" and "+i.path("keys/psks.yaml")) {
		t.Errorf("init says\n%s", stderr)
	}
	p := mustServe(t, i)
	id := regexp.MustCompile(`id: (\S+)`).FindStringSubmatch(mustRead(t, i.path("keys/psks.yaml")))[1]
	i.psk = i.mustIssue(t, "apikey", "rotate", id)
	for deadline := time.Now().Add(patience); p.mustDo(t, "GET", app, i.pskHeader(), "").status != 200; {
		if time.Now().After(deadline) {
			t.Fatal("the node does not accept the new key")
		}
	}
}

// A node with staleness may answer without asking the database, also one that was paused.
func TestRevokedKeyIsRejectedByEveryNode(t *testing.T) {
	i := mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))
	stale := i.another(t, "two")
	stale.mustEdit(t, "strongroom.yaml", "stores:\n", "reads: {staleness: 3s}\nstores:\n")
	one, two := mustServe(t, i), mustServe(t, stale)
	key := "X-Session-API-Key: " + i.mustIssue(t, "agent-key", "create", "--for", "1h", "--sandbox", "s", theUser, "TOKEN")
	one.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"x"}`)
	deadline := time.Now().Add(patience)
	for two.mustDo(t, "GET", "/api/settings/secrets/TOKEN", key, "").status != 200 {
		if time.Now().After(deadline) {
			t.Fatal("the node does not accept the new key")
		}
	}
	two.signal(syscall.SIGSTOP)
	began := time.Now()
	i.mustAdminister(t, "agent-key", "revoke", "--sandbox", "s", "--yes")
	if took := time.Since(began); took < 3*time.Second { // the paused node could not apply it
		t.Errorf("the revocation was confirmed after %s, before the staleness had passed", took)
	}
	two.signal(syscall.SIGCONT)
	for _, p := range []*process{one, two} {
		p.want(t, 401, "GET", "/api/settings/secrets/TOKEN", key, "")
	}
}

// The empty value is not found, but only after the read was counted.
func TestNodeAnswersTheLastReadLikeASingleServer(t *testing.T) {
	t.Parallel()
	for where, i := range map[string]install{"a file": mustInit(t), "a database": mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))} {
		p := mustServe(t, i)
		p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"EMPTY","value":""}`)
		key := "X-Session-API-Key: " + i.mustIssue(t, "agent-key", "create", "--for", "1h", "--reads", "1", "--sandbox", "s", theUser, "EMPTY")
		for _, want := range []int{404, 401} {
			if a := p.mustDo(t, "GET", "/api/v1/sandboxes/s/settings/secrets/EMPTY", key, ""); a.status != want {
				t.Errorf("with the state in %s: %d %s, want %d", where, a.status, a.body, want)
			}
		}
	}
}

func TestNodeNamesItsCacheAndDatabase(t *testing.T) {
	t.Parallel()
	i := mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))
	check := func(serving string) {
		for _, tc := range []struct{ args, want string }{
			{"status", " in a database, stores embedded\n"},
			{"doctor", "ok     cache: all rows are those that were written\n"},
			{"compact", "the cache had "},
			{"keyring rotate", "key "},
			{"keyring prune --yes", "in the database until it is trimmed"},
			{"backup --out " + i.path(serving), " is written\n"},
			{"audit verify", "the chain is intact\n"},
			{"audit mend --yes", "nothing was changed\n"},
		} {
			r := i.administer(t, strings.Fields(tc.args)...)
			if said := r.stdout + r.stderr; !strings.Contains(said, tc.want) || strings.Contains(said, "state file") || strings.Contains(said, "journal") {
				t.Errorf("%s, %s: got\n%s\nwant %q and nothing of a state file", serving, tc.args, said, tc.want)
			}
		}
	}
	check("stopped")
	p := mustServe(t, i)
	check("serving")
	if log := p.mustStop(t); strings.Contains(log, "state file") {
		t.Errorf("the log names a state file:\n%s", log)
	}
}

// A second host, which is not needed, is in another network.
func TestNodeWarnsOfADatabaseWithoutTLS(t *testing.T) {
	t.Parallel()
	const warning = "a connection to the database crosses a network without encryption"
	server := pgtest.Start(t)
	url := server.NewDatabase(t)
	i := mustInitDatabase(t, url)
	if log := mustServe(t, i).mustStop(t); strings.Contains(log, warning) {
		t.Errorf("a node warns of a connection within this machine:\n%s", log)
	}
	mustWrite(t, i.path("keys/database-url"), strings.Replace(url, server.Address(), server.Address()+",db.invalid", 1))
	p := mustServe(t, i)
	for _, args := range [][]string{{"doctor"}, {"status"}, {"config", "check"}} {
		if r := i.administer(t, args...); !strings.Contains(r.stdout+r.stderr, warning) {
			t.Errorf("%s says\n%s%s\nwant the warning %q", args, r.stdout, r.stderr, warning)
		}
	}
	if log := p.mustStop(t); strings.Count(log, warning) != 1 {
		t.Errorf("want one warning at the start:\n%s", log)
	}
}

func TestNodeRefusesADatabaseWithAnotherCertificate(t *testing.T) {
	t.Parallel()
	server, authority, other := pgtest.New(t), pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	server.RequireTLS(t, authority)
	database := server.NewDatabase(t)
	verifying := func(a *pgtest.Authority) string {
		return pgtest.WithTLS(database, "localhost", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {a.File}})
	}
	i := mustInitDatabase(t, verifying(authority))
	mustServe(t, i).mustStop(t)
	mustWrite(t, i.path("keys/database-url"), verifying(other))
	r := run(t, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	if wantRefusal(t, r, "state.postgres: the database server's certificate is not accepted", "unknown authority"); strings.Contains(r.stderr, "of-a-test") {
		t.Errorf("the error has the password:\n%s", r.stderr)
	}
}

func TestStateMovesToADatabaseAndBack(t *testing.T) {
	i := mustInit(t)
	url := pgtest.Start(t).NewDatabase(t)
	mustWrite(t, i.path("url"), url)
	i.mustAdminister(t, "keyring", "rotate")
	before := i.mustAdminister(t, "audit", "export")
	mustWrite(t, i.path("away"), pgtest.Via(url, "127.0.0.1:1"))
	wantRefusal(t, i.administer(t, "migrate", "state", "--to", "postgres", "--database", i.path("away")), "the database does not answer")
	if after := i.mustAdminister(t, "audit", "export"); after != before {
		t.Errorf("a move that was refused is in the audit log:\n%s", after)
	}
	for range 2 { // it can be repeated
		if out := i.mustAdminister(t, "migrate", "state", "--to", "postgres", "--database", i.path("url")); !strings.Contains(out, "rows are in the database, and were compared") {
			t.Errorf("got %s", out)
		}
	}
	i.mustEdit(t, "strongroom.yaml", "  path: data/strongroom.db\n  journal_bytes: 262144\n", "  postgres: {url_file: url, cache: data/cache}\n")
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
	wantRefusal(t, i.administer(t, "migrate", "state", "--to", "file", "--path", i.path("back.db")), "stop it first")
	p.mustStop(t)
	i.mustAdminister(t, "backup", "--out", i.path("backup"))
	i.mustAdminister(t, "migrate", "state", "--to", "file", "--path", i.path("data/back.db"))
	i.mustEdit(t, "strongroom.yaml", "  postgres: {url_file: url, cache: data/cache}\n", "  path: data/back.db\n")
	after := i.mustAdminister(t, "audit", "export")
	if !strings.HasPrefix(after, before) || strings.Count(after, `"state migrate"`) != 2 {
		t.Errorf("the audit log is now\n%s\nwant more entries after\n%s", after, before)
	}
	i.mustAdminister(t, "audit", "verify")
	p = mustServe(t, i)
	p.want(t, 200, "GET", app+"/db", i.pskHeader(), "")
	p.mustStop(t)
	again := func() result {
		return i.administer(t, "migrate", "state", "--to", "postgres", "--database", i.path("url"))
	}
	const advice = "moved from this database to a file: use an empty database; or back that file up, and drop the schema strongroom"
	wantRefusal(t, again(), advice)
	wantRefusal(t, run(t, "init", "--dir", i.path("other"), "--postgres", i.path("url")), advice)
	mustQuery(t, url, "drop schema strongroom cascade")
	if r := again(); r.code != 0 {
		t.Errorf("a move to the emptied database: %s", r.stderr)
	}
	i.mustEdit(t, "strongroom.yaml", "data/back.db", "data/restored.db")
	i.mustAdminister(t, "restore", "--from", i.path("backup"), "--yes")
}

func TestRequestsGet503WithoutTheDatabase(t *testing.T) {
	server := pgtest.New(t)
	i := mustInitDatabase(t, server.NewDatabase(t))
	p := mustServe(t, i)
	p.want(t, 200, "GET", app, i.pskHeader(), "")
	server.Stop(t)
	for _, path := range []string{app, "/api/secrets"} {
		if a := p.want(t, 503, "GET", path, i.pskHeader(), ""); a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	p.want(t, 503, "GET", "/readyz", "", "")
	if out := i.mustAdminister(t, "status"); !strings.Contains(out, "warning: database: the database does not answer") || strings.Contains(out, "state file") {
		t.Errorf("status says\n%s", out)
	}
	wantRefusal(t, i.administer(t, "apikey", "list"), "the database does not answer")
	server.Restart(t)
	for deadline := time.Now().Add(patience); p.mustDo(t, "GET", app, i.pskHeader(), "").status != 200; {
		if time.Now().After(deadline) {
			t.Fatal("the node does not continue")
		}
	}
}

// The README of configs/postgres has the session.
func TestThreeNodesRunAsWritten(t *testing.T) {
	url := pgtest.Start(t).NewDatabase(t)
	_, script, found := strings.Cut(mustRead(t, filepath.Join(repository, "configs/postgres/README.md")), "<!-- not run: TestThreeNodesRunAsWritten runs it with a database -->\n```sh\n")
	script, _, ended := strings.Cut(script, "```")
	if !found || !ended {
		t.Fatal("the README has no session")
	}
	want := regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(script, -1)
	script = strings.ReplaceAll(script, "127.0.0.1:310", "127.0.0.1:"+freePrefix(t))
	cmd := exec.Command("bash", "-euc", "trap 'kill $(jobs -p); wait' EXIT\n"+script)
	cmd.Dir = mustTempDir(t)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("it printed\n%s\nwant %d lines", out, len(want))
	}
	for n, line := range lines {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want[n][1]), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(line) {
			t.Errorf("line %d is %s, want %s", n+1, line, want[n][1])
		}
	}
}

// freePrefix returns the beginning of a free port, without its last digit.
func freePrefix(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port[:len(port)-1]
}

// wantEnd checks that a node ends by itself, and says why.
func (p *process) wantEnd(t *testing.T, said string) {
	t.Helper()
	p.mustSay(t, regexp.MustCompile(regexp.QuoteMeta(said)))
	if code, log := p.mustEnd(t); code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, log)
	}
}

// A newer program may convert the tables while nodes run that do not know the new ones.
func TestNodeEndsWhenTheDatabaseHasANewerSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t).NewDatabase(t)
	i := mustInitDatabase(t, url)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
	mustQuery(t, url, "update strongroom.state set version = version + 1")
	for _, method := range []string{"GET", "DELETE"} {
		if a, err := p.try(t, method, app+"/db", i.pskHeader(), ""); err == nil && a.status != 503 {
			t.Errorf("%s after the change: %d %s", method, a.status, a.body)
		}
	}
	const want = "the database's schema has version 2, and this program knows only 1: use a newer Strongroom on this node"
	p.wantEnd(t, want)
	wantRefusal(t, run(t, "serve", "--config", i.config(), "--listen", "127.0.0.1:0"), "state.postgres: "+want)
	for _, command := range []string{"doctor", "status"} {
		wantRefusal(t, i.administer(t, command), "state.postgres: "+want)
	}
}
