package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// Mistakes of an operator, with the error of serve. The server must serve nothing and
// create or change no file.
var refusals = []struct {
	name  string
	spoil func(t *testing.T, i install)
	args  string
	says  []string // {dir} stands for the directory
}{
	{"no config file", remove("strongroom.yaml"), "", []string{"reading the config: open {dir}/strongroom.yaml: no such file"}},
	{
		"several mistakes in the config", edit("strongroom.yaml", "  drain: 10s", "  drian: 10s\ntls: {}"), "--listen 127.0.0.1:0",
		[]string{"{dir}/strongroom.yaml:\nlisten.drian: there is no such field: did you mean drain? (line 6)\ntls: there is no such field (line 7)\n"},
	},
	{"a certificate that is not there", edit("strongroom.yaml", "drain: 10s", "tls: {certificate: tls.crt, key: keys/state.key}"), "", []string{
		"listen.tls.certificate: open {dir}/tls.crt: no such file",
	}},
	{"a certificate that is none, and a broken keys file", func(t *testing.T, i install) {
		t.Helper()
		edit("strongroom.yaml", "drain: 10s", "tls: {certificate: keys/psks.yaml, key: keys/state.key}")(t, i)
		overwrite("keys/session-keys.yaml", "keys: []\n")(t, i)
	}, "", []string{
		"listen.tls: tls: failed to find any PEM data in certificate input\n", "auth.session-key.api_key.keys_file: ",
	}},
	{"an address without a port", nothing, "--listen 127.0.0.1", []string{"--listen: listen.address: must be host:port"}},

	{"no state file", remove("data/strongroom.db"), "", []string{
		"state.path: there is no state file at {dir}/data/strongroom.db", "strongroom init", "backup",
	}},
	{"no data directory", func(t *testing.T, i install) {
		t.Helper()
		mustWork(t, os.RemoveAll(i.path("data")))
	}, "", []string{"there is no state file at {dir}/data/strongroom.db"}},
	{"a state file that others can access", chmod("data/strongroom.db", 0o644), "", []string{
		"other users can access the state file {dir}/data/strongroom.db (mode 0644): run chmod 600 on it",
	}},
	{"a state file that is none", overwrite("data/strongroom.db", strings.Repeat("not a database ", 1000)), "", []string{
		"opening the state file {dir}/data/strongroom.db: the state file is damaged: neither of its meta pages is whole, if it is a state file at all",
	}},
	{"a state file of a newer version", header("version", "4"), "", []string{
		"{dir}/data/strongroom.db: it has format 4, and this version of Strongroom reads formats 1 to 3",
	}},
	{"another program's database", header("version", "x"), "", []string{
		"{dir}/data/strongroom.db: it is not a state file of Strongroom",
	}},
	{"a damaged keyring", header("keyring", strings.Repeat("x", 400)), "", []string{"state.key: this key does not open the keyring"}},

	{"no state key", remove("keys/state.key"), "", []string{"state.key.file: ", "{dir}/keys/state.key: no such file"}},
	{"a state file that a Kubernetes volume's fsGroup has opened", chmod("data/strongroom.db", 0o660), "", []string{
		"{dir}/data/strongroom.db is open to its group (mode 0660)", "set fsGroupChangePolicy: OnRootMismatch beside fsGroup", "run chmod 600",
	}},
	{"a state key that others can access", chmod("keys/state.key", 0o644), "", []string{
		"state.key.file: other users can access {dir}/keys/state.key (mode 0644): run chmod 600 on it",
	}},
	{"the state key of another install", func(t *testing.T, i install) {
		t.Helper()
		mustWrite(t, i.path("keys/state.key"), mustRead(t, mustInit(t).path("keys/state.key")))
	}, "", []string{"state.key: this key does not open the keyring"}},
	{"a state key cut short", func(t *testing.T, i install) {
		t.Helper()
		mustWork(t, os.Truncate(i.path("keys/state.key"), 40))
	}, "", []string{"state.key.file: not a key: want 32 bytes in base64"}},
	{"an empty state key", overwrite("keys/state.key", ""), "", []string{"state.key.file: not a key: want 32 bytes in base64"}},
	{"a state key that is none", overwrite("keys/state.key", "correct horse battery staple"), "", []string{
		"state.key.file: not a key: want 32 bytes in base64",
	}},

	{"no keys file", remove("keys/psks.yaml"), "", []string{"auth.psk.api_key.keys_file: ", "{dir}/keys/psks.yaml: no such file"}},
	{"keys files that others can access", func(t *testing.T, i install) {
		t.Helper()
		chmod("keys/psks.yaml", 0o644)(t, i)
		chmod("keys/session-keys.yaml", 0o602)(t, i)
	}, "", []string{
		"auth.psk.api_key.keys_file: other users can access {dir}/keys/psks.yaml (mode 0644): run chmod 600 on it\n" +
			"auth.session-key.api_key.keys_file: other users can access {dir}/keys/session-keys.yaml (mode 0602): run chmod 600 on it",
	}},
	{"an empty keys file", overwrite("keys/psks.yaml", ""), "", []string{"auth.psk.api_key.keys_file: {dir}/keys/psks.yaml:"}},
	{"a keys file without keys", overwrite("keys/psks.yaml", "keys: []\n"), "", []string{
		"auth.psk.api_key.keys_file: {dir}/keys/psks.yaml:\nkeys: must hold at least one key",
	}},
	{"a duplicate key", func(t *testing.T, i install) {
		t.Helper()
		_, entry, _ := strings.Cut(mustRead(t, i.path("keys/psks.yaml")), "keys:\n")
		overwrite("keys/psks.yaml", "keys:\n"+entry+entry)(t, i)
	}, "", []string{"keys[1].id: another key has the same id", "keys[1].sha256: another key has the same hash"}},
	{"an unknown action", edit("keys/psks.yaml", "[list, ", "[list, rule, "), "", []string{
		"{dir}/keys/psks.yaml:\nkeys[0].grants[0].actions: must be some of list, create, write, delete, reveal",
	}},
	{"an unknown field in a keys file", edit("keys/psks.yaml", "user:", "usr:"), "", []string{"{dir}/keys/psks.yaml:\n", "usr"}},

	{"anonymous callers from everywhere", func(t *testing.T, i install) {
		t.Helper()
		anonymous(t, i)
		i.mustEdit(t, "strongroom.yaml", "127.0.0.1:3000", "0.0.0.0:0")
	}, "", []string{"{dir}/strongroom.yaml:\nauth.here.anonymous: needs a listen.address on loopback"}},
	{"anonymous callers, and --listen to everywhere", anonymous, "--listen 0.0.0.0:0", []string{
		"--listen: auth.here.anonymous: needs a listen.address on loopback",
	}},
	{"anonymous callers, and --listen without a host", anonymous, "--listen :0", []string{
		"--listen: auth.here.anonymous: needs a listen.address on loopback",
	}},
}

func TestServeRejectsMistakesAndSaysHowToFixThem(t *testing.T) {
	t.Parallel()
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			i := mustInit(t)
			tc.spoil(t, i)
			before := mustSnapshot(t, i.dir)
			r := run(t, append([]string{"serve", "--config", i.config()}, strings.Fields(tc.args)...)...)
			code := 1
			if strings.Contains(r.stderr, "the state file is damaged") {
				code = 74
			}
			for _, says := range tc.says {
				wantRefusalWith(t, r, code, strings.ReplaceAll(says, "{dir}", i.dir))
			}
			after := mustSnapshot(t, i.dir)
			// Files beside the state file, from a process that opens it.
			for _, beside := range []string{"data/strongroom.db.holder", "data/strongroom.db.journal0", "data/strongroom.db.journal1"} {
				delete(before, beside)
				delete(after, beside)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("serve changed the directory (-before +after):\n%s", diff)
			}
		})
	}
}

// A restore onto a full disk leaves an empty state file.
func TestEmptyStateFileIsRejected(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("data/strongroom.db"), "")
	for range 2 {
		r := run(t, "serve", "--config", i.config())
		wantRefusalWith(t, r, 74, "opening the state file "+i.path("data/strongroom.db")+": the state file is damaged")
	}
}

func TestConfigCheckReportsAllErrorsThatServeWould(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	chmod("keys/state.key", 0o640)(t, i) // this mode is allowed
	mustRun(t, "config", "check", "--config", i.config())
	chmod("keys/state.key", 0o604)(t, i)
	overwrite("keys/psks.yaml", "keys: []\n")(t, i)
	edit("keys/session-keys.yaml", "[list, ", "[read, ")(t, i)
	wantRefusal(t, run(t, "config", "check", "--config", i.config()), i.config()+":\n",
		"state.key.file: ", "auth.psk.api_key.keys_file: ", "auth.session-key.api_key.keys_file: ")
}

func TestAnonymousCallersAreServedOnLoopback(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	anonymous(t, i)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", "", `{"name":"TOKEN","value":"x"}`)
	p.want(t, 401, "GET", app, "", "")
}

func nothing(*testing.T, install) {}

func mustWork(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func remove(name string) func(*testing.T, install) {
	return func(t *testing.T, i install) { t.Helper(); mustWork(t, os.Remove(i.path(name))) }
}

func chmod(name string, mode os.FileMode) func(*testing.T, install) {
	return func(t *testing.T, i install) { t.Helper(); mustWork(t, os.Chmod(i.path(name), mode)) }
}

func overwrite(name, text string) func(*testing.T, install) {
	return func(t *testing.T, i install) { t.Helper(); mustWrite(t, i.path(name), text) }
}

func edit(name, old, replacement string) func(*testing.T, install) {
	return func(t *testing.T, i install) { t.Helper(); i.mustEdit(t, name, old, replacement) }
}

// With and without a server.
func TestDoctorWarnsAboutAnonymousCallers(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	doctor := func() string { return mustRun(t, "doctor", "--config", i.config()).stdout }
	const warning = "can list, create, change and delete the custom secrets of user default without a credential"
	p := mustServe(t, i)
	if text := doctor(); strings.Contains(text, "anonymous") {
		t.Errorf("without anonymous callers doctor prints\n%s", text)
	}
	anonymous(t, i)
	p.mustSay(t, regexp.MustCompile("the config has been reloaded"))
	if text := doctor(); !strings.Contains(text, warning) || !strings.Contains(text, "auth.here.anonymous") {
		t.Errorf("doctor does not warn:\n%s", text)
	}
	p.mustStop(t)
	if text := doctor(); !strings.Contains(text, warning) {
		t.Errorf("without a server doctor does not warn:\n%s", text)
	}
}

// anonymous accepts callers without an API key in the OpenHands API.
func anonymous(t *testing.T, i install) {
	t.Helper()
	i.mustEdit(t, "strongroom.yaml", "auth:\n", "auth:\n  here: {anonymous: {}}\n")
	i.mustEdit(t, "strongroom.yaml", "auth: [session-key]", "auth: [session-key, here]")
}

// header rewrites a row of the first bucket of a state file, or removes it if
// the value is empty.
func header(key, value string) func(*testing.T, install) {
	return func(t *testing.T, i install) {
		t.Helper()
		mustChangeState(t, i, func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("state"))
			if b == nil || b.Get([]byte(key)) == nil {
				return errors.New("the state file has no such header")
			}
			if value == "" {
				return b.Delete([]byte(key))
			}
			return b.Put([]byte(key), []byte(value))
		})
	}
}

func mustChangeState(t *testing.T, i install, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(i.dir, "data", "strongroom.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustWork(t, errors.Join(db.Update(fn), db.Close()))
}
