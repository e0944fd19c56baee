package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

var quiet = slog.New(slog.DiscardHandler)

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func mustAnchor(t testing.TB, l *audit.Log) string {
	t.Helper()
	a, err := l.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

func mustRead(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnchorStaysValidAsTheLogGrows(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	anchors := []string{mustAnchor(t, l)}
	for _, name := range []string{"a", "b", "c"} {
		mustRecord(t, l, name)
		anchors = append(anchors, mustAnchor(t, l)+"\n")
	}
	for i, a := range anchors {
		if err := l.CheckAnchor(a); err != nil {
			t.Errorf("the anchor at %d: %v", i, err)
		}
	}
	if _, err := l.Prune(t.Context(), start.Add(time.Hour), secret.Event{}); err != nil {
		t.Fatal(err)
	}
	for i, a := range append(anchors, mustAnchor(t, l)) {
		if err := l.CheckAnchor(a); err != nil {
			t.Errorf("after a prune, the anchor at %d: %v", i, err)
		}
	}
}

// An old copy that was used afterwards has other entries under the same numbers, so it is
// detected even if it is as long as the anchored log.
func TestAnOldCopyOfTheFileIsDetected(t *testing.T) {
	for _, tc := range []struct {
		what  string
		since []string // appended to the old copy
		prune bool
	}{
		{"as it was", nil, false},
		{"one entry behind", []string{"x"}, false},
		{"at the same number", []string{"b", "c"}, false},
		{"ahead", []string{"b", "c", "d"}, false},
		{"pruned, and behind", nil, true},
		{"pruned to the same number", []string{"b"}, true},
	} {
		path := mustCreate(t)
		f := mustOpen(t, path)
		l := open(f)
		mustRecord(t, l, "a")
		_ = f.Close()
		old := mustRead(t, path)

		f = mustOpen(t, path)
		l = open(f)
		mustRecord(t, l, "b", "c")
		anchor := mustAnchor(t, l)
		_ = f.Close()

		journal := f.Journal() // beside it, the old copy would be refused
		if err := errors.Join(os.WriteFile(path, []byte(old), 0o600), os.Remove(journal[0]), os.Remove(journal[1])); err != nil {
			t.Fatal(err)
		}
		f = mustOpen(t, path)
		l = mustLog(t, f)
		mustRecord(t, l, tc.since...)
		if tc.prune {
			if _, err := l.Prune(t.Context(), start.Add(time.Minute), secret.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Verify(t.Context()); err != nil {
			t.Errorf("%s: Verify: %v, want no error: the copy is sound", tc.what, err)
		}
		if err := l.CheckAnchor(anchor); !errors.Is(err, audit.ErrRolledBack) {
			t.Errorf("%s: %v, want ErrRolledBack", tc.what, err)
		}
	}
}

func TestForgedAnchorsAreRejected(t *testing.T) {
	l := mustLog(t, mustFile(t))
	mustRecord(t, l, "a", "b")
	other := mustLog(t, mustFile(t))
	mustRecord(t, other, "a", "b")
	good := mustAnchor(t, l)
	words := strings.Fields(good)
	with := func(i int, word string) string {
		changed := append([]string(nil), words...)
		changed[i] = word
		return strings.Join(changed, " ")
	}
	for _, tc := range []struct{ what, text string }{
		{"nothing", ""},
		{"two lines", good + "\n" + good},
		{"another word", with(0, "strongroom-audit-v3")},
		{"the word of earlier versions", with(0, "strongroom-audit-v1")},
		{"without the position", strings.Join(append(append([]string{"strongroom-audit-v1"}, words[1:4]...), words[6:]...), " ")},
		{"another file's", mustAnchor(t, other)},
		{"another file's id", with(1, strings.Repeat("0", 32))},
		{"an earlier entry", with(2, "1")},
		{"no number", with(2, "two")},
		{"another MAC", with(3, words[7])},
		{"half a MAC", with(3, words[3][:32])},
		{"another position", with(4, "1")},
		{"no position", with(4, "one")},
		{"another chain", with(5, strings.Repeat("0", 32))},
		{"half a chain", with(5, words[5][:16])},
		{"another time", with(6, "2020-01-01T00:00:00Z")},
		{"no time", with(6, "now")},
		{"another signature", with(7, words[3])},
	} {
		if err := l.CheckAnchor(tc.text); !errors.Is(err, audit.ErrNotAnchor) {
			t.Errorf("%s: %v, want ErrNotAnchor", tc.what, err)
		}
	}
}

func TestAnchorOfATamperedLogIsAnError(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	anchor := mustAnchor(t, l)
	mustRecord(t, l, "g")
	undo := rows(t, f)
	for what, change := range map[string]func(){
		"its entry deleted":   func() { tamper(t, f, drop(7)) },
		"the tail truncated":  func() { tamper(t, f, drop(8)) },
		"the head edited":     func() { tamper(t, f, flip(headKey, 0)) },
		"checkpoint edited":   func() { tamper(t, f, flip(checkpointKey, 0)) },
		"something appended":  func() { tamper(t, f, copyTo(seq(8), seq(9))) },
		"last entry replaced": func() { tamper(t, f, copyTo(seq(7), seq(8))) },
	} {
		change()
		if err := l.CheckAnchor(anchor); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", what, err)
		}
		tamper(t, f, drop(9))
		for _, r := range undo {
			tamper(t, f, func(log *state.Bucket) error { return log.Put(r.key, r.value) })
		}
	}
}

func TestAnchorFileIsAtMostASecondOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLog(t, mustFile(t))
		path := filepath.Join(t.TempDir(), "anchor")
		a, err := audit.AnchorToFile(l, path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		mustRecord(t, l, "a")
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		wantAnchored(t, path, 1)
		mustRecord(t, l, "b", "c")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		wantAnchored(t, path, 3)
		if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func wantAnchored(t *testing.T, path string, want uint64) {
	t.Helper()
	a, err := audit.ParseAnchor(mustRead(t, path))
	if err != nil || a.Seq != want {
		t.Errorf("anchored at %d, %v, want %d", a.Seq, err, want)
	}
}

func TestProofOfARollbackIsNotOverwritten(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	mustRecord(t, l, "a")
	old := rows(t, f)
	mustRecord(t, l, "b")
	path := filepath.Join(t.TempDir(), "anchor")
	a, err := audit.AnchorToFile(l, path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	before := mustRead(t, path)
	tamper(t, f, drop(2))
	for _, r := range old {
		tamper(t, f, func(log *state.Bucket) error { return log.Put(r.key, r.value) })
	}
	if _, err := audit.AnchorToFile(l, path, quiet); !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("got %v, want ErrRolledBack", err)
	}
	if mustRead(t, path) != before {
		t.Error("the anchor was overwritten")
	}
}

func TestAnchorLinesAreWrittenOnlyForNewEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLog(t, mustFile(t))
		var out bytes.Buffer
		a := audit.AnchorTo(l, &out, quiet)
		const between = time.Hour + 500*time.Millisecond // not at a tick
		time.Sleep(between)
		mustRecord(t, l, "a", "b")
		time.Sleep(between)
		mustRecord(t, l, "c")
		if err := errors.Join(l.Close(), a.Close()); err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for text := range strings.Lines(out.String()) {
			anchored, err := audit.ParseAnchor(text)
			if err := errors.Join(err, l.CheckAnchor(text)); err != nil {
				t.Error(err)
			}
			got = append(got, anchored.Seq)
		}
		if len(got) != 3 || got[0] != 0 || got[1] != 2 || got[2] != 3 {
			t.Errorf("anchored at %v, want 0, 2 and 3", got)
		}
	})
}

type failingWriter struct{ err error }

func (w *failingWriter) Write(p []byte) (int, error) { return len(p), w.err }

func TestFailureToAnchorIsLoggedOnceAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLog(t, mustFile(t))
		var told bytes.Buffer
		w := &failingWriter{io.ErrShortWrite}
		a := audit.AnchorTo(l, w, slog.New(slog.NewTextHandler(&told, nil)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := a.Err(); !errors.Is(err, io.ErrShortWrite) || strings.Count(told.String(), "\n") != 1 {
			t.Errorf("got %v, told %q", err, told.String())
		}
		w.err = nil
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v, want it written", err)
		}
	})
}

func TestUnwritableAnchorFileIsAnErrorAtStart(t *testing.T) {
	l := mustLog(t, mustFile(t))
	if _, err := audit.AnchorToFile(l, filepath.Join(t.TempDir(), "none", "anchor"), quiet); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

// A stuckWriter blocks every write until open is closed.
type stuckWriter struct {
	open  chan struct{}
	lines bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.open
	return w.lines.Write(p)
}

func TestBlockedAnchorWriteIsAnErrorAndBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := mustLog(t, mustFile(t)), &stuckWriter{open: make(chan struct{})}
		began := time.Now()
		a := audit.AnchorTo(l, w, quiet)
		if err := a.Err(); err == nil || time.Since(began) > time.Second {
			t.Errorf("after %s, Err: %v, want an error after a second", time.Since(began), err)
		}
		mustRecord(t, l, "a")
		time.Sleep(time.Minute)
		close(w.open)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if err := a.Err(); err != nil {
			t.Errorf("read again, Err: %v", err)
		}
		lines := strings.Split(strings.TrimSpace(w.lines.String()), "\n")
		if last, err := audit.ParseAnchor(lines[len(lines)-1]); len(lines) != 2 || err != nil || last.Seq != 1 {
			t.Errorf("it wrote %q, %v", lines, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The last change has no audit entry, so only the position of the state file reveals it.
func TestAnchorNoticesALostChangeWithoutAnEntry(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	l := open(f)
	mustRecord(t, l, "a")
	change := func(f *state.File, value string) {
		t.Helper()
		err := f.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("session")
			return b.Put([]byte("k"), []byte(value))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	old := mustRead(t, path)
	f = mustOpen(t, path)
	l = open(f)
	change(f, "ended")
	anchor := mustAnchor(t, l)
	if err := errors.Join(l.CheckAnchor(anchor), l.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(f.Journal(), path) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	l = mustLog(t, f)
	if err := l.CheckAnchor(anchor); !errors.Is(err, audit.ErrRolledBack) || !strings.Contains(err.Error(), "was anchored at change") {
		t.Errorf("an old copy: %v, want ErrRolledBack", err)
	}
	change(f, "another")
	if err := l.CheckAnchor(anchor); !errors.Is(err, audit.ErrRolledBack) || !strings.Contains(err.Error(), "is not the one") {
		t.Errorf("an old copy that went on: %v, want ErrRolledBack", err)
	}
}
