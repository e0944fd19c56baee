package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/journal"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

// mustAlter changes rows of bbolt past the package, like an attacker.
func mustAlter(t *testing.T, path string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func putRow(bucket, key, value string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	}
}

func wantAltered(t *testing.T, path string) {
	t.Helper()
	f, err := state.Open(path, anyKey)
	if !errors.Is(err, state.ErrAltered) {
		t.Errorf("got %v, want ErrAltered", err)
	}
	if err == nil {
		_ = f.Close()
	}
}

func TestRowThatWasAuthenticBeforeIsRefused(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "old"))
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "new"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for what, alter := range map[string]func(*bbolt.Tx) error{
		"put back":          putRow("test", "k", "old"),
		"new row":           putRow("test", "l", "new"),
		"in another bucket": putRow("other", "k", "new"),
		"empty":             putRow("test", "m", ""),
		"removed":           func(tx *bbolt.Tx) error { return tx.Bucket([]byte("test")).Delete([]byte("k")) },
		"bucket removed":    func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("test")) },
		"keyring":           putRow("state", "keyring", "another ring"),
	} {
		copied := mustCopy(t, path, true)
		mustAlter(t, copied, alter)
		t.Run(what, func(t *testing.T) {
			wantAltered(t, copied)
			mustAlter(t, copied, putRow("state", "mac", strings.Repeat("m", 56)))
			wantAltered(t, copied)
		})
	}
	if got := get(t, mustOpen(t, path), "k"); got != "new" {
		t.Errorf("the file itself has %q", got)
	}
}

// The MAC that an earlier commit stored belongs to its rows and to its position.
func TestOldMACDoesNotMakeAMixOfRowsAuthentic(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("a", "1"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	old := rowsOf(t, path)
	f = mustOpen(t, path)
	mustUpdate(t, f, put("a", "2"))
	mustUpdate(t, f, put("b", "2"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, header := range [][]string{{"mac"}, {"applied"}, {"mac", "applied"}} {
		copied := mustCopy(t, path, false)
		mustAlter(t, copied, putRow("test", "a", "1"))
		for _, key := range header {
			mustAlter(t, copied, putRow("state", key, old["state"][key]))
		}
		wantAltered(t, copied)
	}
	// All rows of the old copy are what only the position reveals.
	copied := mustCopy(t, path, false)
	mustAlter(t, copied, func(tx *bbolt.Tx) error {
		return errors.Join(putRow("test", "a", "1")(tx), tx.Bucket([]byte("test")).Delete([]byte("b")),
			putRow("state", "mac", old["state"]["mac"])(tx), putRow("state", "applied", old["state"]["applied"])(tx))
	})
	if at := mustOpen(t, copied).Position(); at.Seq != 1 {
		t.Errorf("an old copy of everything is at change %d, want 1", at.Seq)
	}
}

func rowsOf(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	mustAlter(t, path, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			all[string(name)] = map[string]string{}
			return b.ForEach(func(key, value []byte) error {
				all[string(name)][string(key)] = string(value)
				return nil
			})
		})
	})
	return all
}

// After a crash in a checkpoint bbolt has a part of its rows, and the journal all of them.
func TestCrashInACheckpointIsAuthenticOnlyWithItsWholeJournal(t *testing.T) {
	path := mustCreate(t)
	f, err := state.OpenIdle(path, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		mustUpdate(t, f, put(fmt.Sprint("k", n), "v"))
	}
	earlier := mustRead(t, journal.Paths(path)[1])
	var copies []string
	err = f.CheckpointInSlices(2, func() { copies = append(copies, mustCopy(t, path, true)) })
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Abandon()
	for step, crashed := range copies {
		short, f := mustCopy(t, crashed, true), mustOpen(t, crashed)
		for n := range 6 {
			if get(t, f, fmt.Sprint("k", n)) != "v" {
				t.Errorf("step %d: k%d is lost", step, n)
			}
		}
		b := mustRead(t, journal.Paths(short)[0])
		clear(b[4096+4*64:]) // the last two records
		for i, b := range [][]byte{b, earlier} {
			if err := os.WriteFile(journal.Paths(short)[i], b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		switch f, err := state.Open(short, anyKey); {
		case step == 0 && err == nil: // an old copy of everything
			if at := f.Position(); at.Seq != 4 {
				t.Errorf("without the newest records: at change %d, want 4", at.Seq)
			}
			_ = f.Close()
		case step == len(copies)-1 && errors.Is(err, state.ErrJournal):
		case !errors.Is(err, state.ErrAltered):
			t.Errorf("step %d, without the newest records: %v, want ErrAltered", step, err)
		}
	}
}

func TestAlteredFileCanOnlyBeReadUntilItIsAccepted(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "new"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustAlter(t, path, putRow("test", "k", "old"))
	before := mustRead(t, path)
	open := func() *state.File {
		f, err := state.OpenWith(path, anyKey, state.Options{Altered: true})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f = open()
	for what, err := range map[string]error{
		"Altered": f.Altered(), "Verify": f.Verify(), "Update": f.Update(t.Context(), put("k", "x")), "Compact": f.Compact(t.Context()),
		"WriteTo": func() error { _, err := f.WriteTo(&strings.Builder{}); return err }(),
	} {
		if !errors.Is(err, state.ErrAltered) {
			t.Errorf("%s: %v, want ErrAltered", what, err)
		}
	}
	if get(t, f, "k") != "old" {
		t.Error("it cannot be read")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if string(before) != string(mustRead(t, path)) {
		t.Error("the file has changed")
	}
	f = open()
	if altered, err := f.Accept(); !altered || err != nil {
		t.Fatal(altered, err)
	}
	mustUpdate(t, f, put("l", "later"))
	if err := errors.Join(f.Verify(), f.Close()); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	if altered, err := f.Accept(); altered || err != nil || get(t, f, "k") != "old" || get(t, f, "l") != "later" {
		t.Errorf("after it was accepted: %v, %v", altered, err)
	}
}

// After a crash the newest changes are only in the journal, which is evidence too.
func TestAlteredFileKeepsItsJournal(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "old"))
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "new"))
	crashed := mustCopy(t, path, true)
	mustAlter(t, crashed, putRow("test", "k", "older"))
	before := mustReadFiles(t, crashed)
	f, err := state.OpenWith(crashed, anyKey, state.Options{Altered: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Checkpoint(); !errors.Is(err, state.ErrAltered) {
		t.Errorf("a checkpoint: %v, want ErrAltered", err)
	}
	if _, err := f.WriteTo(io.Discard); !errors.Is(err, state.ErrAltered) {
		t.Errorf("WriteTo: %v, want ErrAltered", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if !slices.EqualFunc(before, mustReadFiles(t, crashed), bytes.Equal) {
		t.Error("the files have changed")
	}
}

// A large file is in use before all of its rows have been compared.
func TestLargeAlteredFileBreaksSoonAfterItsStart(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	for n := range 70 {
		mustUpdate(t, f, put(fmt.Sprint("k", n), strings.Repeat("v", 1<<20)))
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	mustUpdate(t, f, put("small", "v"))
	if err := errors.Join(f.Verify(), f.Checkpoint(), f.Close()); err != nil {
		t.Fatal(err)
	}
	mustAlter(t, path, putRow("test", "small", "w"))
	f, err := state.Open(path, anyKey)
	if err != nil {
		t.Fatalf("it was compared before the start: %v", err)
	}
	select {
	case <-f.Broken():
	case <-time.After(time.Minute):
		t.Error("it is not broken after a minute")
	}
	if err := f.Verify(); !errors.Is(err, state.ErrAltered) {
		t.Errorf("Verify of the broken file: %v, want ErrAltered", err)
	}
	if err := f.Close(); !errors.Is(f.Err(), state.ErrAltered) || err != nil {
		t.Errorf("%v, %v, want ErrAltered", f.Err(), err)
	}
	f, err = state.OpenWith(path, anyKey, state.Options{Altered: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Altered(); !errors.Is(err, state.ErrAltered) {
		t.Errorf("opened for an investigation: %v", err)
	}
	_ = f.Close()
}

// This changes the row without the running process.
func TestVerifyNoticesARowThatIsAlteredMeanwhile(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "a value to be found"))
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	b := mustRead(t, path)
	for at := strings.Index(string(b), "a value to be found"); at >= 0; {
		if _, err := file.WriteAt([]byte("b"), int64(at)); err != nil {
			t.Fatal(err)
		}
		next := strings.Index(string(b[at+1:]), "a value to be found")
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if err := f.Verify(); !errors.Is(err, state.ErrAltered) {
		t.Errorf("got %v, want ErrAltered", err)
	}
}

func TestAlteredCopyIsNotRestored(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	mustUpdate(t, f, put("k", "v"))
	var b strings.Builder
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	altered := filepath.Join(t.TempDir(), "altered.db")
	if err := os.WriteFile(altered, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mustAlter(t, altered, putRow("test", "k", "w"))
	restored := filepath.Join(t.TempDir(), "state.db")
	if err := state.Restore(restored, strings.NewReader(string(mustRead(t, altered))), anyKey); !errors.Is(err, state.ErrAltered) {
		t.Errorf("got %v, want ErrAltered", err)
	}
	if err := state.Restore(restored, strings.NewReader(b.String()), statetest.Key("another").Unlock); !errors.Is(err, state.ErrAltered) {
		t.Errorf("with another key: %v, want ErrAltered", err)
	}
	wantOnly(t, filepath.Dir(restored))
}

// A file of format 2 has no MAC, and its rows count as they are, unless its keyring says
// that there was one.
func TestFileWithoutAMACIsTakenOverOnlyIfItNeverHadOne(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("k", "v"))
	crashed := mustCopy(t, path, true)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	signed := func(string, []byte) (state.Keys, error) {
		return state.Keys{MAC: statetest.Key(""), Signed: true}, nil
	}
	for _, path := range []string{path, crashed} {
		mustAlter(t, path, func(tx *bbolt.Tx) error {
			return errors.Join(putRow("state", "version", "2")(tx), tx.Bucket([]byte("state")).Delete([]byte("mac")))
		})
		if _, err := state.Open(path, signed); !errors.Is(err, state.ErrAltered) {
			t.Errorf("with a keyring that has seen a MAC: %v, want ErrAltered", err)
		}
		f := mustOpen(t, path)
		if get(t, f, "k") != "v" {
			t.Error("its row is lost")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if rowsOf(t, path)["state"]["version"] != "3" {
			t.Error("it still has format 2")
		}
		mustAlter(t, path, putRow("test", "k", "w"))
		wantAltered(t, path)
	}
}
