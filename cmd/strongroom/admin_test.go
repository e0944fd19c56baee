package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Administration commands work through a running server and without one. Both
// ways must have the same effect and output.

const (
	theApp  = "app/0f8fad5b-d9cb-469f-a165-70867728950e"
	theUser = "user/default"
)

// administer runs a command on an install.
func (i install) administer(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, append(args, "--config", i.config())...)
}

func (i install) mustAdminister(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	return mustRun(t, append(args, "--config", i.config())...).stdout
}

// mustCopy returns a copy of an install that no process uses.
func (i install) mustCopy(t *testing.T) install {
	t.Helper()
	other := install{filepath.Join(mustTempDir(t), "strongroom"), i.sessionKey, i.psk}
	err := filepath.WalkDir(i.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(i.dir, path)
		switch {
		case d.IsDir():
			return os.Mkdir(other.path(name), 0o700)
		case !d.Type().IsRegular(), strings.HasSuffix(name, ".holder"):
			return nil // belongs to a process, not to the install
		}
		mustWrite(t, other.path(name), mustRead(t, path))
		return nil
	})
	mustWork(t, err)
	return other
}

// mustHaveAPast returns an install without a running server that has data for
// every command: earlier versions, a renamed and a deleted secret, a backup for
// the keyring and one for an age recipient, and an anchored audit log.
func mustHaveAPast(t *testing.T) install {
	t.Helper()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"first"}]}`)
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"second"}]}`)
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"third"},{"key":"l","value":"3"}]}`)
	p.want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "")
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"gone","data":[{"key":"k","value":"deleted"}]}`)
	p.want(t, 200, "DELETE", app+"/gone", i.pskHeader(), "")
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"OLD","value":"v","description":"before"}`)
	p.want(t, 200, "PUT", "/api/secrets/OLD", i.sessionHeader(), `{"name":"NEW","description":"after"}`)
	p.mustStop(t)

	mustWrite(t, i.path("identity"), ageIdentity+"\n")
	mustWrite(t, i.path("empty"), "\n")
	// The ids, which are parts of the keys.
	mustWrite(t, i.path("psk"), i.psk+"\n")
	mustWrite(t, i.path("key"), idIn(i.mustAdminister(t, "apikey", "create", "--subject", "ci", "--user", "alice", "--strategy", "psk", "--grant", dbOnly)))
	mustWrite(t, i.path("agent"), idIn(i.mustAdminister(t, "agent-key", "create", theUser, "NEW", "--sandbox", "box", "--reads", "5")))
	i.mustAdminister(t, "backup", "--out", i.path("backup"))
	i.mustAdminister(t, "backup", "--out", i.path("backup.age"), "--recipient", ageRecipient)
	mustWrite(t, i.path("anchor"), i.mustAdminister(t, "audit", "verify"))
	mustWrite(t, i.path("elsewhere.yaml"), strings.Replace(mustRead(t, i.config()), "data/strongroom.db", "elsewhere.db", 1))
	return i
}

// dbOnly is a grant for the secret db.
const dbOnly = "{actions: [list, reveal], owner: " + theApp + ", names: [db]}"

// idIn returns the id in an issued API key: srk_<id>_….
func idIn(key string) string { return strings.Split(key, "_")[1] }

// An age key pair for tests.
const (
	ageIdentity  = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
	ageRecipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
)

// commands lists administration commands with their expected stdout, in which …
// matches any text, or their expected error.
var commands = []struct {
	args   string // {dir}, {first} (the first revision of db), {key} and {agent} (ids of issued keys) are replaced; ' quotes words
	prints string
	says   string // expected part of the error
	after  func(t *testing.T, p *process, i install)
}{
	{args: "secret list " + theApp, prints: "NAME  KEYS  UPDATED  LAST ACCESS  DESCRIPTION\ndb  k,l  T  T by admin, key KEY\n"},
	{args: "secret list " + theUser, prints: "NAME  KEYS  UPDATED  LAST ACCESS  DESCRIPTION\nNEW  value  T  never  after\n"},
	{args: "secret list user/nobody"},
	{args: "secret list " + theUser + " -o json", prints: `[{…"name":"NEW",…}]` + "\n"},
	{args: "secret list user/nobody -o json", prints: "[]\n"},
	{args: "secret history -o json " + theApp + " db", prints: `[{…"name":"db",…},{…},{…}]` + "\n"},
	{args: "secret list " + theApp + " db", says: "accepts 1 arg(s), received 2"},
	{args: "secret history " + theApp + " db", prints: "REVISION  TIME  NAME  KEYS  DESCRIPTION\nR  T  db  k,l\nR  T  db  k\nR  T  db  k\n"},
	{args: "secret history " + theUser + " NEW", prints: "REVISION  TIME  NAME  KEYS  DESCRIPTION\nR  T  NEW  value  after\nR  T  OLD  value  before\n"},
	{args: "secret history " + theUser + " OLD", says: "secret not found"},
	{args: "secret history nobody db", says: "owner: must be user/<id> or app/<uuid>"},
	{args: "secret history --store attic " + theApp + " db", says: "there is no store of this name"},
	{args: "secret restore " + theApp + " db {first}", prints: "REVISION  TIME  NAME  KEYS  DESCRIPTION\nR  T  db  k\n", after: hasValue("db", "first")},
	{args: "secret restore " + theApp + " db 0000000000000000", says: "secret not found", after: hasValue("db", "third")},
	{args: "secret undelete " + theApp + " gone", prints: "REVISION  TIME  NAME  KEYS  DESCRIPTION\nR  T  gone  k\n", after: hasValue("gone", "deleted")},
	{args: "secret undelete " + theApp + " gone 0000000000000000", says: "secret not found"},
	{args: "secret undelete " + theApp + " db", says: "secret already exists"},
	{args: "secret destroy " + theApp + " db", after: func(t *testing.T, p *process, i install) {
		t.Helper()
		p.want(t, 404, "GET", app+"/db", i.pskHeader(), "")
		wantRefusal(t, i.administer(t, "secret", "undelete", theApp, "db"), "secret not found")
	}},
	{args: "secret destroy --no-compact " + theApp + " db", after: wantRemovedContentIsReported},
	{args: "owner erase --no-compact " + theApp, after: wantRemovedContentIsReported},
	{args: "keyring prune --no-compact", prints: "key 1 seals; …", after: wantRemovedContentIsReported},
	{args: "secret destroy " + theApp + " never", says: "secret not found"},
	{args: "owner list", prints: "OWNER  SECRETS\n" + theApp + "  1\n" + theUser + "  1\n"},
	{args: "owner list -o json", prints: `[{"owner":"` + theApp + `","secrets":1},{"owner":"` + theUser + `","secrets":1}]` + "\n"},
	{args: "owner list --store attic", says: "there is no store of this name"},
	{args: "owner list user/default", says: `takes no arguments, but got "user/default"`},
	{args: "owner deleted " + theApp, prints: "REVISION  TIME  NAME  KEYS  DESCRIPTION\nR  T  gone  k\n"},
	{args: "owner deleted " + theUser},
	{args: "owner erase " + theApp, after: func(t *testing.T, p *process, i install) {
		t.Helper()
		if a := p.want(t, 200, "GET", app, i.pskHeader(), ""); a.body != "[]" {
			t.Errorf("the app still has %s", a.body)
		}
		if out := i.mustAdminister(t, "owner", "deleted", theApp); out != "" {
			t.Errorf("the app can still undelete\n%s", out)
		}
		p.want(t, 200, "PUT", "/api/secrets/NEW", i.sessionHeader(), `{"name":"NEW"}`)
	}},
	{args: "owner erase user/nobody", says: "secret not found"},
	{args: "apikey create --subject ci --grant '{actions: [list], owner: user/*}'", prints: "srk_…\n"},
	{args: "apikey create --subject ci --for 24h --strategy psk --strategy session-key --grant '" + dbOnly + "'", prints: "srk_…\n"},
	{args: "apikey create --subject ci --grant '{actions: [list], owner: app/x}'", says: "--grant: [0].owner: must be user/<id>, user/*, app/<uuid>, app/* or self"},
	{args: "apikey create --subject ci --grant '{actions: [list], owner: user/*, reads: 1}'", says: "--grant: reads: there is no such field (line 1)"},
	{args: "apikey create --subject ci --strategy sso --grant '{actions: [list], owner: user/*}'", says: "--strategy: must be of the kind api_key: "},
	{args: "apikey create --subject '' --grant '{actions: [list], owner: user/*}'", says: "subject: must not be empty"},
	{args: "apikey create --subject ci --for 1ms --grant '{actions: [list], owner: user/*}'", says: "--for: must be whole seconds"},
	{args: "apikey create --subject ci --for 0s --grant '{actions: [list], owner: user/*}'", says: "lifetime: must not be empty or 0: leave it out for the default"},
	{args: "apikey create --subject ci --user '' --grant '{actions: [list], owner: user/*}'", says: "user: must not be empty or 0"},
	{args: "apikey create --subject ci --grant '{actions: [list], owner: user/*, names: []}'", says: "--grant: [0].names: must name at least one"},
	{args: "apikey list", prints: "ID  STATE  HOLDER  USER  MAY  STRATEGIES  LAST USED\nKEY  works  ci  alice  list,reveal " + theApp + " (db)  psk  never\n"},
	{args: "apikey revoke {key}", prints: "KEY was revoked T\n", after: func(t *testing.T, _ *process, i install) {
		t.Helper()
		if out := i.mustAdminister(t, "apikey", "list"); !strings.Contains(out, "was revoked") {
			t.Errorf("got\n%s", out)
		}
	}},
	{args: "apikey revoke {agent}", says: "no such key was issued"},
	{args: "apikey rotate {key} --overlap 1h", prints: "srk_…\n", after: func(t *testing.T, _ *process, i install) {
		t.Helper()
		if out := i.mustAdminister(t, "apikey", "list"); strings.Count(out, "\n") != 3 || strings.Count(out, "works until") != 1 {
			t.Errorf("got\n%s", out)
		}
	}},
	{args: "apikey rotate {key} --overlap 9999h", says: "overlap: must be at most 90 days"},
	{args: "apikey rotate never", says: "no such key was issued"},
	{args: "agent-key create " + theUser + " NEW OLD --for 10m --reads 1 --sandbox other --subject me", prints: "srk_…\n"},
	{args: "agent-key create " + theUser + " NEW --for 1w2d", prints: "srk_…\n"},
	{args: "agent-key create " + theUser + " NEW --for 31d", says: "lifetime: must be positive and at most 30 days"},
	{args: "agent-key create " + theUser + " NEW --for 1y", says: "must be a duration, as in 90s, 24h, 30d or 2w"},
	{args: "agent-key create " + theApp + " db", prints: "srk_…\n"},
	{args: "agent-key create user/* NEW", says: "owner: must be user/<id> or app/<uuid>"},
	{args: "agent-key create " + theUser + " a/b", says: "name: must not contain slashes or control characters"},
	{args: "agent-key create " + theUser + " NEW --for 0s", says: "lifetime: must be positive and at most 30 days"},
	{args: "agent-key create " + theUser + " NEW --reads 0", says: "reads: must not be empty or 0"},
	{args: "agent-key create " + theUser + " NEW --sandbox ''", says: "sandbox: must not be empty or 0"},
	{args: "agent-key list", prints: "ID  STATE  HOLDER  MAY  READS  LAST READ  MADE FOR\nKEY  works until T  sandbox box  list,reveal user/default (NEW)  0 of 5  never\n"},
	{args: "agent-key revoke {agent}", prints: "KEY was revoked T\n"},
	{args: "agent-key revoke --sandbox box", prints: "KEY was revoked T\n", after: func(t *testing.T, _ *process, i install) {
		t.Helper()
		if out := i.mustAdminister(t, "agent-key", "revoke", "--yes", "--sandbox", "box"); out != "" {
			t.Errorf("the second time it revokes\n%s", out)
		}
	}},
	{args: "agent-key revoke --sandbox another", says: "no such key was issued"},
	{args: "agent-key revoke", says: "id: must be set, or sandbox, and not both"},
	{args: "agent-key revoke {agent} --sandbox box", says: "id: must be set, or sandbox, and not both"},
	{args: "explain --as ci reveal " + theApp + "/db", prints: "yes: psk, ci, key KEY: by issued key KEY, grants[0]\n"},
	{args: "explain --as ci write " + theApp + "/db", says: "no: psk, ci, key KEY: no grant applies"},
	{args: "explain --as admin reveal user/default", prints: "yes: …, admin, key …: by DIR/keys/session-keys.yaml:8\n…"},
	{args: "explain --as nobody list user/default", says: "no caller matches this credential"},
	{args: "explain --credential-file {dir}/psk reveal " + theApp + "/db", prints: "yes: psk, admin, key …: by DIR/keys/psks.yaml:…\n"},
	{args: "explain --credential-file {dir}/anchor list user/default", says: "no: psk refuses it: it is no API key of this server, or no longer works"},
	{args: "explain --as admin juggle user/default", says: "action: must be one of list, create, write, delete, reveal, admin"},
	{args: "explain --as admin list default", says: "target: must be user/<id> or app/<uuid>, and /<name> for a secret of it"},
	{args: "keyring show -o json", prints: `{"keys":[1],"primary":1,"resealed":0,"resealing":false}` + "\n"},
	{args: "explain -o json --as ci reveal " + theApp + "/db", prints: `[{"allowed":true,…}]` + "\n"},
	{args: "apikey list -o json", prints: `[{…"id":"…",…}]` + "\n"},
	{args: "agent-key list -o json", prints: `[{…"id":"…",…}]` + "\n"},
	{args: "doctor -o json", prints: `[{…"ok":true,…}]` + "\n"},
	{args: "keyring show", prints: "key 1 seals; retired: []\n"},
	{args: "keyring rotate", prints: "key 2 seals; retired: [1]\n…", after: hasValue("db", "third")},
	{args: "keyring prune", prints: "key 1 seals; retired: []\nresealing is done: … rows\n", after: hasValue("db", "third")},
	{
		args:   "keyring rewrap --new-key {dir}/keys/new.key",
		prints: "from now on only the key in {dir}/keys/new.key opens the state: name it in the config under state.key, and let the server read it\nkeep the old key: only it opens the backups taken before\n",
		after:  hasValue("db", "third"),
	},
	{args: "keyring rewrap --new-key {dir}/anchor", says: "--new-key: not a key: want 32 bytes in base64"},
	{args: "audit verify", prints: "… entries, and the chain is intact\nstrongroom-audit-v2 …\n"},
	{args: "audit verify --anchor {dir}/anchor", prints: "… entries, and the chain is intact\nstrongroom-audit-v2 …\n"},
	{args: "audit verify --anchor {dir}/empty", says: "--anchor: the last line of the file must be a head"},
	{args: "audit verify --anchor ''", says: "--anchor: open : no such file or directory"},
	{args: "audit verify --anchor {dir}/identity", says: "not an anchor of this audit log"},
	{args: "audit tail -n 1", prints: `{"seq":…,"action":"history",…,"mac":"…"}` + "\n"},
	{args: "audit tail -n 0", says: "--lines: must be 1 to 1000"},
	{args: "audit export", prints: `{"seq":1,…"action":"create","kind":"app",…"outcome":"done","allowed":true,…` + "\n"},
	{args: "audit prune --keep 24h", prints: "0 entries dropped\n"},
	{args: "audit prune --keep 1ns", prints: "… entries dropped\n", after: func(t *testing.T, _ *process, i install) {
		t.Helper()
		if out := i.mustAdminister(t, "audit", "export"); strings.Contains(out, `"action":"create"`) {
			t.Errorf("entries are left:\n%s", out)
		}
		i.mustAdminister(t, "audit", "verify", "--anchor", i.path("anchor"))
	}},
	{args: "backup --out {dir}/another", prints: "{dir}/another is written\n", after: func(t *testing.T, _ *process, i install) {
		t.Helper()
		if info, err := os.Stat(i.path("another")); err != nil || info.Mode() != 0o600 {
			t.Errorf("the backup: %v, %v", info, err)
		}
		i.mustAdminister(t, "backup", "verify", i.path("another"))
	}},
	{args: "backup --out {dir}/backup", says: "--out: {dir}/backup exists"},
	{args: "backup --out {dir}/another --recipient age1nobody", says: "recipient: must be an age public key", after: leavesNo("another", "another.part")},
	{args: "backup --out {dir}/nowhere/backup", says: "{dir}/nowhere/backup: no such file or directory"},
	{args: "backup verify {dir}/backup", prints: "ok  …\n"},
	{args: "backup verify {dir}/backup.age --identity {dir}/identity", prints: "ok  …\n"},
	{args: "backup verify {dir}/backup.age", says: "{dir}/backup.age: this is not a Strongroom backup"},
	{args: "backup verify {dir}/backup --identity {dir}/identity", says: "{dir}/backup: the backup is damaged or incomplete, or not for this identity"},
	{args: "restore --from {dir}/backup --config {dir}/elsewhere.yaml", prints: "{dir}/elsewhere.db is restored\n", after: leavesNo("elsewhere.db.part")},
	{args: "restore --from {dir}/backup.age --identity {dir}/identity --config {dir}/elsewhere.yaml", prints: "{dir}/elsewhere.db is restored\n"},
	{args: "restore --from {dir}/backup", says: "{dir}/data/strongroom.db already exists", after: hasValue("db", "third")},
	{args: "compact", prints: "the state file had … KiB and now has … KiB\n", after: hasValue("db", "third")},
	{args: "clock confirm", prints: "the clock is confirmed: data that is too old is removed within the hour\n"},
	{args: "doctor", prints: "ok  permissions: …\nok  keyring: key 1 seals; there are no retired keys\n…"},
}

func TestCommandsBehaveTheSameWithAndWithoutAServer(t *testing.T) {
	t.Parallel()
	prepared := mustHaveAPast(t)
	history := strings.Split(strings.TrimSpace(prepared.mustAdminister(t, "secret", "history", theApp, "db")), "\n")
	first, _, _ := strings.Cut(history[len(history)-1], " ")
	// Commands that are refused change nothing, so they share a server.
	refusing, refusingAlone := prepared.mustCopy(t), prepared.mustCopy(t)
	refusingServer := mustServe(t, refusing)
	for _, tc := range commands {
		t.Run(strings.ReplaceAll(tc.args, "/", "-"), func(t *testing.T) {
			served, alone, p := refusing, refusingAlone, refusingServer
			if tc.says == "" || tc.after != nil {
				served, alone = prepared.mustCopy(t), prepared.mustCopy(t)
				p = mustServe(t, served)
			}
			with, without := runRow(t, served, tc.args, first), runRow(t, alone, tc.args, first)
			if with != without {
				t.Errorf("with a server:\n%+v\nwithout:\n%+v", with, without)
			}
			if tc.says != "" {
				wantRefusal(t, with, strings.ReplaceAll(tc.says, "{dir}", "DIR"))
			} else if want := strings.ReplaceAll(tc.prints, "{dir}", "DIR"); with.code != 0 || !matchesAll(want, with.stdout) {
				t.Errorf("exit code %d, stdout\n%s\nwant\n%s\nstderr %s", with.code, with.stdout, want, with.stderr)
			}
			if tc.after != nil {
				tc.after(t, p, served)
				if strings.Contains(tc.args, "rewrap") {
					alone.mustEdit(t, "strongroom.yaml", "keys/state.key", "keys/new.key")
				}
				tc.after(t, mustServe(t, alone), alone)
			}
		})
	}
}

// wantRemovedContentIsReported also removes it.
func wantRemovedContentIsReported(t *testing.T, _ *process, i install) {
	t.Helper()
	const warning = "compaction: what was removed for good, last on "
	if out := i.mustAdminister(t, "status"); !strings.Contains(out, "warning: "+warning) || strings.Contains(out, "last compaction") {
		t.Errorf("before the compaction, status prints %s", out)
	}
	if out := i.mustAdminister(t, "doctor"); !strings.Contains(out, warning) {
		t.Errorf("before the compaction, doctor prints %s", out)
	}
	i.mustAdminister(t, "compact")
	if out := i.mustAdminister(t, "status"); !strings.Contains(out, "last compaction ended ") || strings.Contains(out, "removed") {
		t.Errorf("after the compaction, status prints %s", out)
	}
	if out := i.mustAdminister(t, "doctor"); !strings.Contains(out, "compaction: nothing that was removed for good is left in the files\n") {
		t.Errorf("after the compaction, doctor prints %s", out)
	}
}

func TestNoCompactSaysWhatStays(t *testing.T) {
	i := mustInit(t)
	p := mustServe(t, i)
	for _, name := range []string{"db", "other"} {
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+name+`","data":[{"key":"k","value":"first"}]}`)
	}
	for _, tc := range []struct{ args, stays string }{
		{"keyring prune --yes", "what retired keys sealed"},
		{"secret destroy --yes " + theApp + " db", "the secret"},
		{"owner erase --yes " + theApp, "what the owner had"},
		{"keyring rewrap --new-key " + i.path("keys/new.key"), "the keyring that the old key opens"},
	} {
		r := i.administer(t, append(strings.Fields(tc.args), "--no-compact")...)
		if want := tc.stays + " stays, encrypted, in free pages of the state file "; r.code != 0 || !strings.HasPrefix(r.stderr, want) {
			t.Errorf("%s: exit code %d, stderr %q", tc.args, r.code, r.stderr)
		}
	}
	if out := i.mustAdminister(t, "status"); strings.Contains(out, "last compaction") {
		t.Errorf("status prints %s", out)
	}
}

// Any caller who may write a description writes it to the administrator's
// terminal.
func TestDescriptionsCannotFakeLinesOrControlTheTerminal(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"\u202eNEKOT","value":"v-v-v-v","description":"ok\nADMIN  value \u001b[31m\t\"é\""}`)
	for _, args := range [][]string{{"secret", "list", theUser}, {"secret", "history", theUser, "\u202eNEKOT"}} {
		out := i.mustAdminister(t, args...)
		if !strings.Contains(out, `"\u202eNEKOT"`) || !strings.Contains(out, `"ok\nADMIN  value \x1b[31m\t\"é\""`) || strings.Count(out, "\n") != 2 {
			t.Errorf("%v prints\n%q", args, out)
		}
	}
}

// runRow runs a command of the table and returns its output without the parts
// that differ between runs.
func runRow(t *testing.T, i install, args, first string) result {
	t.Helper()
	text := strings.NewReplacer("{dir}", i.dir, "{first}", first, "{key}", mustRead(t, i.path("key")), "{agent}", mustRead(t, i.path("agent"))).Replace(args)
	words := wordsOf(text)
	if !strings.Contains(text, "--config") {
		words = append(words, "--config", i.config())
	}
	if destructive.MatchString(args) {
		words = append(words, "--yes")
	}
	r := run(t, words...)
	r.stdout, r.stderr = columns.ReplaceAllString(steady(i, r.stdout), "$1"), steady(i, r.stderr)
	return r
}

var (
	destructive = regexp.MustCompile(`^(secret destroy|owner erase|apikey revoke|agent-key revoke|keyring prune|audit prune|audit mend|restore|clock confirm)`)
	// columns are padded to their widest cell, which can be one that changes.
	columns = regexp.MustCompile(`(?m) +$|(  ) +`)
)

// wordsOf splits a line into words like a shell with one kind of quotes.
func wordsOf(text string) (words []string) {
	for n, part := range strings.Split(text, "'") {
		if n%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

var changing = []struct {
	pattern *regexp.Regexp
	steady  string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "T"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "MAC"},
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "R"},
	{regexp.MustCompile(`"request":"[A-Z2-7]{26}"`), `"request":"ID"`},
	{regexp.MustCompile(`\d+ MiB`), "N MiB"},
	{regexp.MustCompile(`\bsrk_[a-z2-7_]+`), "srk_KEY"},
	{regexp.MustCompile(`(?m)(key |^)[a-z2-7]{8}( |,|:)`), "${1}KEY$2"},
	{regexp.MustCompile(`\.verify-\d+`), ".verify"},
	{regexp.MustCompile(`resealing(:| is).*`), "resealing is done: N rows"}, // or it is about to be done
}

func steady(i install, text string) string {
	text = strings.ReplaceAll(text, i.dir, "DIR")
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.steady)
	}
	return text
}

// matchesAll matches several lines.
func matchesAll(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", "(?s:.*)")
	return regexp.MustCompile("^" + pattern + "$").MatchString(got)
}

func hasValue(name, value string) func(*testing.T, *process, install) {
	return func(t *testing.T, p *process, i install) {
		t.Helper()
		a := p.want(t, 200, "GET", app+"/"+name+"/reveal", i.pskHeader(), "")
		if !strings.Contains(a.body, fmt.Sprintf(`"value":%q`, value)) {
			t.Errorf("%s is %s, want %s", name, a.body, value)
		}
	}
}

func leavesNo(names ...string) func(*testing.T, *process, install) {
	return func(t *testing.T, _ *process, i install) {
		t.Helper()
		for _, name := range names {
			if _, err := os.Lstat(i.path(name)); err == nil {
				t.Errorf("%s was not removed", name)
			}
		}
	}
}

// A command without a server must resume the unfinished work of an earlier one,
// and two commands in a row must not conflict.
func TestKeyringCanBeRotatedAndPrunedRepeatedlyWithoutAServer(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	const secrets = 1600 // resealing them takes longer than one request
	atOnce(16, func(worker int) {
		for n := worker; n < secrets; n += 16 {
			p.want(t, 200, "POST", app, i.pskHeader(), fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"v"}]}`, n))
		}
	})()
	p.mustStop(t)
	i.mustAdminister(t, "keyring", "rotate")
	i.mustAdminister(t, "keyring", "rotate")
	if out := i.mustAdminister(t, "keyring", "show"); !strings.HasPrefix(out, "key 3 seals; retired: [1 2]\n") {
		t.Errorf("show prints %s", out)
	}
	if out := i.mustAdminister(t, "keyring", "prune", "--yes"); !strings.HasPrefix(out, "key 3 seals; retired: []\n") {
		t.Errorf("prune prints %s", out)
	}
	i.mustAdminister(t, "doctor")
	hasValue("s199", "v")(t, mustServe(t, i), i)
}

func TestNewAuditLogStartsWithTheInitEntry(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	for _, command := range []string{"tail", "export"} {
		if out := i.mustAdminister(t, "audit", command); !strings.Contains(out, `"action":"init"`) || strings.Count(out, "\n") != 1 {
			t.Errorf("audit %s prints %q", command, out)
		}
	}
	if out := i.mustAdminister(t, "audit", "verify"); !strings.HasPrefix(out, "1 entries, and the chain is intact\n") {
		t.Errorf("audit verify prints %q", out)
	}
}

// More entries than one answer holds (admin.readAtMost).
func TestExportHasEveryEntryOnceAndInOrder(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	const entries = 2301 // the first entry is from init
	atOnce(16, func(worker int) {
		for n := worker; n < entries-1; n += 16 {
			p.want(t, 404, "DELETE", fmt.Sprint(app, "/none", n), i.pskHeader(), "")
		}
	})()
	lines := strings.Split(strings.TrimSuffix(i.mustAdminister(t, "audit", "export"), "\n"), "\n")
	if len(lines) != entries {
		t.Errorf("%d lines, want %d", len(lines), entries)
	}
	seen := map[string]bool{}
	for n, line := range lines {
		var entry struct {
			Seq  int
			Name string
		}
		mustDecode(t, line, &entry)
		if entry.Seq != n+1 || seen[entry.Name] {
			t.Fatalf("line %d is %s", n+1, line)
		}
		seen[entry.Name] = true
	}
	tail := i.mustAdminister(t, "audit", "tail", "-n", "3")
	if want := strings.Join(lines[entries-3:], "\n") + "\n"; tail != want {
		t.Errorf("tail is\n%s\nwant\n%s", tail, want)
	}
}
