package main_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made lists the files that init creates, with their modes.
var made = map[string]string{
	".":                           "drwx------",
	"strongroom.yaml":             "-rw-------",
	"keys":                        "drwx------",
	"keys/state.key":              "-rw-------",
	"keys/session-keys.yaml":      "-rw-------",
	"keys/psks.yaml":              "-rw-------",
	"data":                        "drwx------",
	"data/strongroom.db":          "-rw-------",
	"data/strongroom.db.holder":   "-rw-------",
	"data/strongroom.db.journal0": "-rw-------",
	"data/strongroom.db.journal1": "-rw-------",
}

func TestInitCreatesFilesForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	got := mustSnapshot(t, mustInit(t).dir)
	for name, seen := range got {
		got[name], _, _ = strings.Cut(seen, " ")
	}
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// mustInit checks that these are two lines, HEADER: KEY.
func TestInitPrintsTwoKeysAndKeepsOnlyTheirHashes(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	if i.sessionKey == i.psk || len(i.psk) < 60 || !strings.HasPrefix(i.psk, "srk_") {
		t.Errorf("init did not print two API keys")
	}
	for name, content := range mustSnapshot(t, i.dir) {
		for _, key := range []string{i.sessionKey, i.psk} {
			_, random, _ := strings.Cut(strings.TrimPrefix(key, "srk_"), "_")
			if strings.Contains(content, random) {
				t.Errorf("%s holds a key", name)
			}
		}
	}
}

func TestTwoInstallsHaveNoKeyInCommon(t *testing.T) {
	t.Parallel()
	a, b := mustInit(t), mustInit(t)
	if a.psk == b.psk || a.sessionKey == b.sessionKey ||
		mustRead(t, a.path("keys/state.key")) == mustRead(t, b.path("keys/state.key")) {
		t.Error("two installs have a key in common")
	}
}

func TestInitCreatesAValidConfig(t *testing.T) {
	t.Parallel()
	r := mustRun(t, "config", "check", "--config", mustInit(t).config())
	if r.stdout != "the config is valid\n" || r.stderr != "" {
		t.Errorf("got %q and %q", r.stdout, r.stderr)
	}
}

func TestSecondInitChangesNothingAndNamesTheExistingFile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	before := mustSnapshot(t, i.dir)
	r := run(t, "init", "--dir", i.dir)
	wantRefusal(t, r, "nothing was created", i.path("keys/state.key"), "exists")
	if diff := cmp.Diff(before, mustSnapshot(t, i.dir)); diff != "" {
		t.Errorf("it changed (-before +after):\n%s", diff)
	}
}

func TestInitCreatesNothingIfAnyFileExists(t *testing.T) {
	t.Parallel()
	for name, mode := range made {
		if mode[0] == 'd' || strings.HasPrefix(name, "data/strongroom.db.") { // only useful together with a state file
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, filepath.Join(dir, name), "left from another time\n")
			before := mustSnapshot(t, dir)
			r := run(t, "init", "--dir", dir)
			wantRefusal(t, r, "nothing was created", filepath.Join(dir, name), "exists")
			if diff := cmp.Diff(before, mustSnapshot(t, dir)); diff != "" {
				t.Errorf("init changed the directory (-before +after):\n%s", diff)
			}
		})
	}
}

func TestInitAcceptsAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustRun(t, "init", "--dir", dir)
	mustRun(t, "config", "check", "--config", filepath.Join(dir, "strongroom.yaml"))
}

// If the API keys were lost, no client could ever use the new instance.
func TestInitCreatesNothingIfItsKeysCannotBePrinted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "strongroom")
	mustInitWithoutOutput(t, "init", "--dir", dir)
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("init created files: %v", mustSnapshot(t, dir))
	}
}

// mustInitWithoutOutput runs init, which cannot write its output, and returns its error.
func mustInitWithoutOutput(t *testing.T, args ...string) (stderr string) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no /dev/full here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	var text bytes.Buffer
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = full, &text
	if err := cmd.Run(); err == nil {
		t.Error("init succeeded")
	}
	return text.String()
}

// Where config and keys come from another source, only the state file is
// missing.
func TestInitWithAConfigCreatesOnlyTheStateFile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	if r := run(t, "init", "--config", i.config()); r.code == 0 {
		t.Error("init created a state file over an existing one")
	}
	mustWork(t, os.Rename(i.path("data/strongroom.db"), filepath.Join(t.TempDir(), "first.db")))
	journal := mustRead(t, i.path("data/strongroom.db.journal0"))
	wantRefusal(t, run(t, "init", "--config", i.config()), "nothing was created: ", "move it away")
	if mustRead(t, i.path("data/strongroom.db.journal0")) != journal {
		t.Error("init changed the journal of another state file")
	}
	mustWork(t, errors.Join(os.Remove(i.path("data/strongroom.db.journal0")), os.Remove(i.path("data/strongroom.db.journal1"))))
	before := mustSnapshot(t, i.dir)
	mustRun(t, "init", "--config", i.config(), "--if-missing")
	made := mustRead(t, i.path("data/strongroom.db"))
	mustRun(t, "init", "--config", i.config(), "--if-missing")
	if mustRead(t, i.path("data/strongroom.db")) != made {
		t.Error("init --if-missing changed the state file")
	}
	after := mustSnapshot(t, i.dir)
	for _, suffix := range []string{"", ".holder", ".journal0", ".journal1"} {
		delete(before, "data/strongroom.db"+suffix)
		delete(after, "data/strongroom.db"+suffix)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("init changed other files (-before +after):\n%s", diff)
	}
	mustServe(t, i)
}

func TestInitWritesKeysToAFileOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := mustTempDir(t)
	keys := filepath.Join(dir, "api-keys")
	r := mustRun(t, "init", "--dir", filepath.Join(dir, "a"), "--keys-out", keys)
	if r.stdout != "" || strings.Contains(r.stderr, "srk_") {
		t.Errorf("a key was printed: %s%s", r.stdout, r.stderr)
	}
	info, err := os.Stat(keys)
	mustWork(t, err)
	if text := mustRead(t, keys); info.Mode() != 0o600 || !strings.HasPrefix(text, "X-Session-API-Key: srk_") || !strings.Contains(text, "\nAuthorization-PSK: srk_") {
		t.Errorf("the file has mode %v and %d bytes", info.Mode(), len(text))
	}
	wantRefusal(t, run(t, "init", "--dir", filepath.Join(dir, "b"), "--keys-out", keys), "--keys-out: ")
	if _, err := os.Stat(filepath.Join(dir, "b")); err == nil {
		t.Error("init left a directory behind")
	}
}
