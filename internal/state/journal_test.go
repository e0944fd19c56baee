package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

// mustCopy copies a state file, and the files of its journal too if a crash left it.
func mustCopy(t *testing.T, path string, withJournal bool) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "state.db")
	for i, from := range files(path) {
		if i > 0 && !withJournal {
			break
		}
		if err := os.WriteFile(files(copied)[i], mustRead(t, from), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

func TestChangesAreInTheJournalAfterACrashAndInTheFileAfterAStop(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	for n := range 20 {
		mustUpdate(t, f, put(fmt.Sprint("k", n), "v"))
	}
	crashed := mustCopy(t, path, true)
	alone := mustCopy(t, path, false)
	if _, err := state.Open(alone, anyKey); !errors.Is(err, state.ErrJournal) || !strings.Contains(err.Error(), "was not closed cleanly") {
		t.Errorf("a crashed file without its journal: %v, want ErrJournal", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for what, copied := range map[string]string{"crashed": crashed, "stopped": mustCopy(t, path, true), "stopped, alone": mustCopy(t, path, false)} {
		f := mustOpen(t, copied)
		for n := range 20 {
			if get(t, f, fmt.Sprint("k", n)) != "v" {
				t.Errorf("%s: k%d is lost", what, n)
			}
		}
		mustUpdate(t, f, put("later", "v"))
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if get(t, mustOpen(t, copied), "later") != "v" {
			t.Errorf("%s: a later change is lost", what)
		}
	}
}

func TestStateFileOfAnotherMomentThanItsJournalIsRefused(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "1"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := mustRead(t, path)
	f = mustOpen(t, path)
	mustUpdate(t, f, put("k", "2"))
	early := mustCopy(t, path, true)
	for n := range 3 { // so that both journal files are used anew
		mustUpdate(t, f, put("k", fmt.Sprint("more", n)))
		if err := f.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	mustUpdate(t, f, put("k", "3"))
	late := mustCopy(t, path, true)
	other := mustCopy(t, mustCreate(t), false)
	mix := func(db string, from string) string {
		mixed := mustCopy(t, from, true)
		if err := os.WriteFile(mixed, mustRead(t, db), 0o600); err != nil {
			t.Fatal(err)
		}
		return mixed
	}
	older := filepath.Join(t.TempDir(), "older.db")
	if err := os.WriteFile(older, stopped, 0o600); err != nil {
		t.Fatal(err)
	}
	var backup strings.Builder
	if _, err := f.WriteTo(&backup); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(t.TempDir(), "restored.db")
	if err := state.Restore(restored, strings.NewReader(backup.String()), anyKey); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"an old file that was closed cleanly":  mix(older, late),
		"an old file of a crash":               mix(early, late),
		"a new file with an old journal":       mix(late, early),
		"another file":                         mix(other, late),
		"a file restored from a backup":        mix(restored, late),
		"a clean file beside its next changes": mix(older, early),
	} {
		before := mustReadFiles(t, path)
		if f, err := state.Open(path, anyKey); !errors.Is(err, state.ErrJournal) || !strings.Contains(err.Error(), "put the state file and ") {
			t.Errorf("%s: %v, want ErrJournal", what, err)
			if err == nil {
				_ = f.Close()
			}
		}
		if !slices.EqualFunc(before, mustReadFiles(t, path), slices.Equal) {
			t.Errorf("%s: the refused files have changed", what)
		}
	}
	for what, path := range map[string]string{"early": early, "late": late, "restored": restored} {
		if got := get(t, mustOpen(t, path), "k"); got == "" {
			t.Errorf("%s: the key is lost", what)
		}
	}
}

// The journal's files are removed with the lost state file that they belong to.
func TestRestoreInPlaceOfALostFileRemovesItsJournal(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "old"))
	var backup strings.Builder
	if _, err := f.WriteTo(&backup); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "new"))
	crashed := mustCopy(t, path, true)
	if err := os.Remove(crashed); err != nil {
		t.Fatal(err)
	}
	if err := state.Restore(crashed, strings.NewReader(backup.String()), anyKey); err != nil {
		t.Fatal(err)
	}
	if got := get(t, mustOpen(t, crashed), "k"); got != "old" {
		t.Errorf("got %q, want the backup's", got)
	}
}

// Changes that do not fit into the journal go to the state file at once.
func TestLargeChangesSurviveACrash(t *testing.T) {
	path := mustCreate(t)
	f, err := state.OpenIdle(path, anyKey) // a checkpoint in the background could run while the files are copied
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Abandon() }()
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	for n := range sized(30, 300) {
		key := fmt.Sprint("k", random.IntN(10))
		size := []int{10, 1000, 100_000, 190_000, 250_000, 300_000, 1 << 20}[random.IntN(7)]
		want[key] = strings.Repeat(fmt.Sprint(n%10), size)
		mustUpdate(t, f, put(key, want[key]))
		if n%3 != 0 {
			continue
		}
		crashed, err := state.OpenIdle(mustCopy(t, path, true), anyKey)
		if err != nil {
			t.Fatalf("after change %d: %v", n, err)
		}
		for key, value := range want {
			if get(t, crashed, key) != value || get(t, f, key) != value {
				t.Fatalf("after change %d: %s is lost", n, key)
			}
		}
		if err := crashed.Abandon(); err != nil {
			t.Error(err)
		}
	}
}

// Checkpoints of several commits run while the process is killed.
func TestCrashBetweenTheCommitsOfACheckpointLosesNothing(t *testing.T) {
	path := mustCreate(t)
	kills, done := sized(6, 200), 0
	for i := 0; i < kills || done == 0 && i < 200; i++ { // on a busy machine no child may get far enough
		cmd := child(t, "flood", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter(cmd, i)
		lines := told(mustReadAll(t, out))
		_ = cmd.Wait() // killed
		for _, line := range lines {
			if line[0] != "done" {
				t.Errorf("unexpected: %s", line)
			}
		}
		done += wantAllDone(t, path, lines)
	}
	t.Logf("%d kills beside checkpoints: %d changes acknowledged, 0 lost", kills, done)
	if done == 0 {
		t.Error("nothing was acknowledged")
	}
}

func TestJournalOfAnotherKeyIsRefused(t *testing.T) {
	path, mine := mustCreateWith(t, "mine"), statetest.Key("mine").Unlock
	f, err := state.Open(path, mine)
	if err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "1"))
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "2"))
	mustUpdate(t, f, put("k", "3"))
	crashed := mustCopy(t, path, true)
	_ = f.Close()
	mustBeRefused(t, mustCopy(t, crashed, true), statetest.Key("another").Unlock)
	f, err = state.Open(mustCopy(t, crashed, true), mine)
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, f, "k"); got != "3" {
		t.Errorf("got %q, want 3", got)
	}
	_ = f.Close()
}

// An attacker without the key puts well-formed records of his own behind the last one,
// and more of them than a checkpoint at the start waits for.
func TestForgedRecordIsNeitherServedNorMovedIntoTheStateFile(t *testing.T) {
	for _, records := range []int{1, 200} {
		path, mine := mustCreateWith(t, "mine"), statetest.Key("mine").Unlock
		f, err := state.Open(path, mine)
		if err != nil {
			t.Fatal(err)
		}
		mustUpdate(t, f, put("k", "1"))
		crashed := mustCopy(t, path, true)
		_ = f.Close()
		forge(t, crashed, records)
		before := mustRead(t, crashed)
		for range 2 {
			mustBeRefused(t, crashed, mine)
		}
		if !bytes.Equal(mustRead(t, crashed), before) {
			t.Errorf("%d forged records: the state file has changed", records)
		}
	}
}

// forge appends records with right sums, which nothing authenticates.
func forge(t *testing.T, path string, records int) {
	t.Helper()
	f, err := state.OpenIdle(path, func(string, []byte) (state.Keys, error) { return state.Keys{}, errStop })
	if !errors.Is(err, errStop) {
		t.Fatal(f, err)
	}
	j, err := journal.Open(path, identityOf(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Replay(0, func(change.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for n := range records {
		row := change.Row{Bucket: "test", Key: fmt.Append(nil, "forged", n), Value: make([]byte, 1000)}
		if err := errors.Join(j.Append(change.Chain{1}, change.Append(nil, []change.Row{row})), j.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

var errStop = errors.New("stop")

func identityOf(t *testing.T, path string) (id journal.Identity) {
	t.Helper()
	head := mustRead(t, journal.Paths(path)[0])[16:]
	copy(id.State[:], head)
	copy(id.Lineage[:], head[len(id.State):])
	return id
}

// mustBeRefused opens the file like a server, which gives up and closes what it opened.
func mustBeRefused(t *testing.T, path string, unlock state.Unlock) {
	t.Helper()
	f, err := state.Open(path, unlock)
	if !errors.Is(err, state.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	if err == nil {
		_ = f.Close()
	}
}

// Nothing of the journal counts if the keyring does not open.
func TestKeyringThatDoesNotOpenLeavesTheFilesAsTheyAre(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", strings.Repeat("v", 200_000))) // a checkpoint is due
	crashed := mustCopy(t, path, true)
	before := mustReadFiles(t, crashed)
	_, err := state.Open(crashed, func(string, []byte) (state.Keys, error) { return state.Keys{}, errStop })
	var locked *state.LockedError
	if !errors.As(err, &locked) || !errors.Is(err, errStop) {
		t.Errorf("got %v, want the error of the keyring", err)
	}
	if !slices.EqualFunc(before, mustReadFiles(t, crashed), slices.Equal) {
		t.Error("the files have changed")
	}
}

func TestJournalOpenToOthersIsRefused(t *testing.T) {
	path := mustCreate(t)
	if err := mustOpen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(journal.Paths(path)[1], 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(path, anyKey); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
}

func TestJournalGetsTheSizeAskedFor(t *testing.T) {
	path := mustCreate(t)
	for _, size := range []int64{1 << 20, 512 << 10} {
		f, err := state.OpenWith(path, anyKey, state.Options{JournalBytes: size})
		if err != nil {
			t.Fatal(err)
		}
		mustUpdate(t, f, put("k", fmt.Sprint(size)))
		crashed := mustCopy(t, path, true)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := state.OpenWith(crashed, anyKey, state.Options{JournalBytes: 2 << 20}) // it still holds changes
		if err != nil || get(t, again, "k") != fmt.Sprint(size) {
			t.Fatal(err)
		}
		_ = again.Close()
		for _, p := range []string{journal.Paths(path)[0], journal.Paths(crashed)[1]} {
			if mustSize(t, p) != size {
				t.Errorf("%s has %d bytes, want %d", p, mustSize(t, p), size)
			}
		}
	}
	if _, err := state.OpenWith(path, anyKey, state.Options{JournalBytes: 1000}); err == nil {
		t.Error("a journal of 1000 bytes is accepted")
	}
}

// Many more change sets than a checkpoint has moved are there at once.
func TestLongJournalIsReplayedBeforeItIsMoved(t *testing.T) {
	path := mustCreate(t)
	size := int64(sized(4, 64)) << 20
	f, err := state.OpenWith(path, anyKey, state.Options{JournalBytes: size})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	f, err = state.OpenIdle(path, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; int64(n)*2000 < size*3/5; n++ {
		mustUpdate(t, f, put(fmt.Sprint("k", n), strings.Repeat("v", 1800)))
	}
	_ = f.Abandon()
	f = mustOpen(t, path)
	if got := get(t, f, fmt.Sprint("k", n-1)); len(got) != 1800 {
		t.Errorf("the last change is lost: %q", got)
	}
	var copied strings.Builder
	if _, err := f.WriteTo(&copied); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(t.TempDir(), "restored.db")
	if err := state.Restore(restored, io.MultiReader(strings.NewReader(copied.String())), anyKey); err != nil {
		t.Fatal(err)
	}
	if got := get(t, mustOpen(t, restored), fmt.Sprint("k", n-1)); len(got) != 1800 {
		t.Errorf("the last change is not in a backup: %q", got)
	}
}
