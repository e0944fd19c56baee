package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

func TestAKeyOfInitCanBeRotatedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	file := i.path("keys/psks.yaml")
	mustWork(t, os.Chmod(file, 0o640))
	other := mustRead(t, i.path("keys/session-keys.yaml"))
	id := idIn(i.psk)

	// With an overlap both keys work.
	r := i.administer(t, "apikey", "rotate", id)
	second := strings.TrimSpace(r.stdout)
	if r.code != 0 || !strings.Contains(r.stderr, "is in "+file+"; the old key works until ") {
		t.Fatalf("got %d, %s", r.code, r.stderr)
	}
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+second)
	p.want(t, 200, "GET", app, i.pskHeader(), "")

	// Without one the old key is refused.
	i.mustAdminister(t, "apikey", "rotate", idIn(second), "--overlap", "0s", "--keys-out", i.path("third"))
	third := strings.TrimSpace(mustRead(t, i.path("third")))
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+third)
	p.want(t, 401, "GET", app, "Authorization-PSK: "+second, "")
	p.want(t, 200, "GET", app, i.pskHeader(), "") // until its own end

	for path, mode := range map[string]os.FileMode{file: 0o640, i.path("third"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, mode)
		}
	}
	keys, err := apikey.ParseKeys(file, []byte(mustRead(t, file)))
	if err != nil || len(keys) != 2 || keys[0].ID != idIn(third) || keys[1].ID != id || keys[0].Subject != "admin" {
		t.Errorf("the keys file has %+v, %v", keys, err)
	}
	if !strings.HasPrefix(mustRead(t, file), "# Keys for the header Authorization-PSK.") || mustRead(t, i.path("keys/session-keys.yaml")) != other {
		t.Error("a comment is gone, or the other keys file was changed")
	}
}

// A key is saved before the keys file changes. If it cannot be saved, nothing changes.
func TestARotationThatCannotSaveTheKeyChangesNothing(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	before := mustRead(t, i.path("keys/psks.yaml"))
	mustWrite(t, i.path("there"), "x")
	wantRefusal(t, i.administer(t, "apikey", "rotate", idIn(i.psk), "--keys-out", i.path("there")), "--keys-out: create", "file already exists")
	wantRefusal(t, i.administer(t, "apikey", "rotate", idIn(i.psk), "--overlap", "91d"), "--overlap: must be at most 90 days")
	if mustRead(t, i.path("keys/psks.yaml")) != before || mustRead(t, i.path("there")) != "x" {
		t.Error("a file was changed")
	}
}
