package main_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// A backup is a consistent snapshot, even while clients write. It has all
// writes acknowledged before it began. Of the later writes it has none without
// its predecessors.
func TestBackupUnderLoadIsAConsistentSnapshot(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	counters, stop := mustLoad(t, p, i, 4)
	const backups = 4
	var before, after [backups][][]int64
	path := func(n int) string { return i.path("backup" + string(rune('0'+n))) }
	for n := range backups {
		before[n] = allAcked(counters)
		if n%2 == 0 {
			i.mustAdminister(t, "backup", "--out", path(n))
		} else {
			i.mustAdminister(t, "backup", "--out", path(n), "--recipient", ageRecipient)
		}
		for _, c := range counters {
			after[n] = append(after[n], values(c.sent))
		}
	}
	stop()
	mustWrite(t, i.path("identity"), ageIdentity)
	written := int64(0)
	for n := range backups {
		restored := i.mustCopy(t)
		mustWork(t, os.Remove(restored.path("data/strongroom.db")))
		args := []string{"restore", "--yes", "--from", path(n)}
		if n%2 == 1 {
			args = append(args, "--identity", i.path("identity"))
		}
		restored.mustAdminister(t, args...)
		q := mustServe(t, restored)
		for at, c := range counters {
			got := c.reveal(t, q)
			c.wantMoment(t, got, before[n][at], after[n][at])
			written += got[0]
		}
		restored.mustAdminister(t, "audit", "verify")
		restored.mustAdminister(t, "doctor")
		q.mustStop(t)
	}
	if written == 0 {
		t.Error("nothing was written")
	}
	t.Logf("%d backups under load; the first secrets of %d chains have %d writes in them", backups, len(counters), written)
}

// The backup keeps the sealing key that it began with.
func TestBackupSurvivesAKeyRotationMeanwhile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	_, stop := mustLoad(t, p, i, 1)
	stopped := make(chan struct{})
	wait := atOnce(1, func(int) {
		for {
			select {
			case <-stopped:
				return
			default:
				run(t, "keyring", "rotate", "--config", i.config()) // retried while records are being resealed
			}
		}
	})
	var taken []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		i.mustAdminister(t, "backup", "--out", i.path(name))
		taken = append(taken, i.path(name))
	}
	close(stopped)
	wait()
	stop()
	for _, path := range taken {
		i.mustAdminister(t, "backup", "verify", path)
	}
}

func TestRestoreNeedsAnEmptyTargetACompleteBackupAndItsKey(t *testing.T) {
	t.Parallel()
	prepared := mustHaveAPast(t)
	spoilt := func(change func(text []byte) []byte) func(*testing.T, install) {
		return func(t *testing.T, i install) {
			t.Helper()
			for _, name := range []string{"backup", "backup.age"} {
				mustWrite(t, i.path(name), string(change([]byte(mustRead(t, i.path(name))))))
			}
		}
	}
	otherKey := func(t *testing.T, i install) {
		t.Helper()
		mustWork(t, os.Remove(i.path("keys/state.key")))
		mustWrite(t, i.path("keys/state.key"), mustRead(t, mustInit(t).path("keys/state.key")))
	}
	for _, tc := range []struct {
		name       string
		spoil      func(*testing.T, install)
		ofKeyring  string // expected output for the keyring's backup
		forAge     string // expected output for the age recipient's backup
		placeTaken bool
	}{
		{"the place is taken", nothing, "already exists", "already exists", true},
		{"another key", otherKey, "this key does not open the keyring", "this key does not open the keyring", false},
		{"cut in the middle", spoilt(func(b []byte) []byte { return b[:len(b)/2] }), "damaged or incomplete", "damaged", false},
		{"cut by a byte", spoilt(func(b []byte) []byte { return b[:len(b)-1] }), "damaged or incomplete", "damaged", false},
		{"cut at its head", spoilt(func(b []byte) []byte { return b[:30] }), "damaged or incomplete", "damaged", false},
		{"a byte more", spoilt(func(b []byte) []byte { return append(b, 'x') }), "damaged or incomplete", "", false},
		{"a bit changed", spoilt(func(b []byte) []byte { b[len(b)*2/3] ^= 1; return b }), "damaged or incomplete", "", false},
		{"the last bit changed", spoilt(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "damaged or incomplete", "", false},
		{"empty", spoilt(func([]byte) []byte { return nil }), "this is not a Strongroom backup", "damaged", false},
		{"something else", spoilt(func(b []byte) []byte { return bytes.Repeat([]byte{'x'}, len(b)) }), "this is not a Strongroom backup", "damaged", false},
		{"the state file itself", func(t *testing.T, i install) {
			t.Helper()
			spoilt(func([]byte) []byte { return []byte(mustRead(t, i.path("data/strongroom.db"))) })(t, i)
		}, "this is not a Strongroom backup", "damaged", false},
		{"no backup", func(t *testing.T, i install) {
			t.Helper()
			mustWork(t, os.Remove(i.path("backup")))
			mustWork(t, os.Remove(i.path("backup.age")))
		}, "no such file", "no such file", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := prepared.mustCopy(t)
			tc.spoil(t, i)
			if !tc.placeTaken {
				mustWork(t, errors.Join(os.Remove(i.path("data/strongroom.db")), os.Remove(i.path("data/strongroom.db.journal0")), os.Remove(i.path("data/strongroom.db.journal1"))))
			}
			before := mustSnapshot(t, i.dir)
			wantRefusal(t, i.administer(t, "restore", "--yes", "--from", i.path("backup")), tc.ofKeyring)
			wantRefusal(t, i.administer(t, "restore", "--yes", "--from", i.path("backup.age"), "--identity", i.path("identity")), tc.forAge)
			if tc.name != "the place is taken" {
				wantRefusal(t, i.administer(t, "backup", "verify", i.path("backup")), tc.ofKeyring)
			}
			wantSame(t, before, mustSnapshot(t, i.dir))
		})
	}
}

func wantSame(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was not removed", name)
		}
	}
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestBackupForAnotherIdentityIsRejected(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	mustWork(t, os.Rename(i.path("data/strongroom.db"), i.path("away")))
	before := mustSnapshot(t, i.dir)
	another, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for identity, says := range map[string]string{
		another.String():       "the backup is damaged or incomplete, or not for this identity",
		another.String() + "x": "the identity file is invalid: want AGE-SECRET-KEY-1…",
		"":                     "the identity file is invalid: want AGE-SECRET-KEY-1…",
	} {
		path := filepath.Join(mustTempDir(t), "identity")
		mustWrite(t, path, identity)
		r := i.administer(t, "restore", "--yes", "--from", i.path("backup.age"), "--identity", path)
		wantRefusal(t, r, says)
		if strings.Contains(r.stderr, another.String()) {
			t.Errorf("the output has the identity: %s", r.stderr)
		}
	}
	wantSame(t, before, mustSnapshot(t, i.dir))
}

// A backup is older than the anchor of the audit log. Verifying it must not
// fail for that reason, and must not move the anchor.
func TestVerifyingABackupDoesNotMoveTheAnchor(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustAnchorTo(t, "{file: anchor}")
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[]}`)
	p.mustStop(t)
	i.mustAdminister(t, "backup", "--out", i.path("backup"))
	mustServe(t, i).mustStop(t)
	anchor := mustRead(t, i.path("anchor"))
	i.mustAdminister(t, "backup", "verify", i.path("backup"))
	if mustRead(t, i.path("anchor")) != anchor {
		t.Error("the anchor has moved")
	}
	p = mustServe(t, i)
	p.want(t, 200, "DELETE", app+"/db", i.pskHeader(), "")
	p.mustStop(t)
	i.mustAdminister(t, "backup", "verify", i.path("backup"))
	mustServe(t, i)
}

// The restore command says which error the server will report, and what to do
// about it.
func TestRestoredBackupIsServedAfterItsNewerAnchorIsMovedAway(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustAnchorTo(t, "{file: anchor}")
	i.mustAdminister(t, "backup", "--out", i.path("backup"))
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[]}`)
	p.mustStop(t)
	if err := os.Remove(i.path("data/strongroom.db")); err != nil {
		t.Fatal(err)
	}
	r := i.administer(t, "restore", "--yes", "--from", i.path("backup"))
	if r.code != 0 || !strings.Contains(r.stderr, "the anchor in "+i.path("anchor")) || !strings.Contains(r.stderr, "move the anchor away") {
		t.Errorf("restore: %+v", r)
	}
	wantRefusal(t, i.administer(t, "serve"), "an old copy of the state file was put back", "move "+i.path("anchor")+" away")
	if err := os.Remove(i.path("anchor")); err != nil {
		t.Fatal(err)
	}
	mustServe(t, i).want(t, 404, "GET", app+"/db", i.pskHeader(), "")
}

// mustAnchorTo configures the anchor of the audit log.
func (i install) mustAnchorTo(t *testing.T, where string) {
	t.Helper()
	i.mustEdit(t, "strongroom.yaml", "stores:\n", "audit: {anchor: "+where+"}\nstores:\n")
}

// Even if the server writes anchors to standard output, commands do not.
func TestCommandOutputHasNoAnchors(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	i.mustAnchorTo(t, "{stdout: true}")
	for line := range strings.Lines(i.mustAdminister(t, "audit", "export")) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("the export has the anchor line %s", line)
		}
	}
}

// Pipes let a backup be stored on another machine.
func TestBackupCanBePipedOutAndIn(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	taken := i.mustAdminister(t, "backup", "--out", "-")
	if _, err := os.Lstat("-"); err == nil {
		t.Error("a file named - was written")
	}
	elsewhere := i.path("elsewhere.yaml")
	for _, tc := range []struct{ args, says string }{
		{"backup verify - --config " + i.config(), "ok     "},
		{"restore --yes --from - --config " + elsewhere, "elsewhere.db is restored\n"},
	} {
		cmd := command(t, strings.Fields(tc.args)...)
		cmd.Stdin = strings.NewReader(taken)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.says) {
			t.Errorf("%s: %v, %s", tc.args, err, out)
		}
	}
	if got, want := mustRun(t, "secret", "list", theApp, "--config", elsewhere).stdout, i.mustAdminister(t, "secret", "list", theApp); got != want {
		t.Errorf("the restored values are\n%s\nwant\n%s", got, want)
	}
	cut := command(t, "backup", "verify", "-", "--config", i.config())
	cut.Stdin = strings.NewReader(taken[:len(taken)/2])
	if out, err := cut.CombinedOutput(); err == nil {
		t.Errorf("half a backup is accepted: %s", out)
	}
}
