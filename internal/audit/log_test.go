package audit_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

var ring = seal.NewRing()

func mustCreate(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	if err := statetest.Create(path, func(string) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t testing.TB, path string) *state.File {
	t.Helper()
	f, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mustFile(t testing.TB) *state.File {
	t.Helper()
	return mustOpen(t, mustCreate(t))
}

// mustLog returns a log that is closed at the end of the test.
func mustLog(t testing.TB, f *state.File) *audit.Log {
	t.Helper()
	l := open(f)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func open(f *state.File) *audit.Log {
	return audit.Open(f, ring.Derive("audit entry"), ring.Derive("audit chain"))
}

func event(name string) secret.Event {
	return secret.Event{
		Time: time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC), Subject: "alice", CredentialID: "k7", From: "::1", Request: "R1",
		Action: secret.Write, Ref: secret.Ref{Owner: secret.User("alice"), Name: name}, NewName: "new", Outcome: secret.Done,
	}
}

func mustRecord(t testing.TB, l *audit.Log, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := l.Record(t.Context(), event(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func entries(t testing.TB, l *audit.Log) (all []audit.Entry) {
	t.Helper()
	err := l.Entries(func(e audit.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecordedEventsAreReadBack(t *testing.T) {
	f := mustFile(t)
	l := open(f)
	mustRecord(t, l, "a", "b")
	want := []audit.Entry{{Seq: 1, Event: event("a"), Count: 1}, {Seq: 2, Event: event("b"), Count: 1}}
	if diff := cmp.Diff(want, entries(t, l), cmpopts.IgnoreFields(audit.Entry{}, "MAC")); diff != "" {
		t.Error(diff)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(f)
	defer func() { _ = l.Close() }()
	mustRecord(t, l, "c")
	if got := entries(t, l); len(got) != 3 || got[2].Seq != 3 {
		t.Errorf("after reopening: %+v", got)
	}
}

// The outcome of every attempt can be found by its request id.
func TestNotesOfWritesAreNotCoalesced(t *testing.T) {
	l := open(mustFile(t))
	for i := range 10 {
		e := event("db")
		e.Request = fmt.Sprint(i)
		if err := l.Note(e); err != nil {
			t.Error(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := entries(t, l)
	if len(got) != 10 {
		t.Fatalf("got %d entries, want 10", len(got))
	}
	for i, e := range got {
		if e.Event.Request != fmt.Sprint(i) || e.Event.Ref.Name != "db" || e.Count != 1 {
			t.Errorf("entry %d: got request %q of %q, counted %d", i, e.Event.Request, e.Event.Ref.Name, e.Count)
		}
	}
}

func TestSimilarNotesAreCoalesced(t *testing.T) {
	l := open(mustFile(t))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			e := event(fmt.Sprint("secret", i%2))
			e.Action, e.Request, e.Time = secret.List, fmt.Sprint(i), time.Now()
			if err := l.Note(e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(entries(t, l)); got > 2 {
		t.Errorf("%d entries, want 1, or 2 if written between", got)
	}
	if diff := cmp.Diff(map[string]int{"secret0": 50, "secret1": 50}, noted(t, l)); diff != "" {
		t.Error(diff)
	}
}

// noted returns the number of recorded reads by secret.
func noted(t testing.TB, l *audit.Log) map[string]int {
	t.Helper()
	times := map[string]int{}
	for _, e := range entries(t, l) {
		sum := 0
		for name, n := range e.Names {
			times[name] += n
			sum += n
		}
		switch {
		case e.Names == nil:
			times[e.Event.Ref.Name] += e.Count
		case e.Count != sum || e.Event.Ref.Name != "":
			t.Errorf("entry %d of %q has count %d, and its names %d", e.Seq, e.Event.Ref.Name, e.Count, sum)
		}
	}
	return times
}

// A list has no name, and an entry has a bounded number of names.
func TestListsAreNotCoalescedWithNamedReadsAndEntriesHaveLimitedNames(t *testing.T) {
	l := open(mustFile(t))
	want := map[string]int{"": 2}
	for i := range 1000 {
		want[fmt.Sprint("secret", i)] = 1
	}
	for name, times := range want {
		for range times {
			if err := l.Note(event(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, noted(t, l)); diff != "" {
		t.Error(diff)
	}
	for _, e := range entries(t, l) {
		if len(e.Names) > 512 {
			t.Errorf("entry %d is about %d secrets", e.Seq, len(e.Names))
		}
		if _, mixed := e.Names[""]; mixed {
			t.Errorf("entry %d is about secrets and lists", e.Seq)
		}
	}
}

func TestNotesAreWrittenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLog(t, mustFile(t))
		if err := l.Note(event("a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the synctest bubble, so it takes no real time
		synctest.Wait()
		if got := len(entries(t, l)); got != 1 {
			t.Errorf("%d entries after a second, want 1", got)
		}
	})
}

func TestMoreNotesThanTheLimitAreAllWritten(t *testing.T) {
	l := open(mustFile(t))
	want := map[string]int{}
	for i := range 40_000 {
		want[fmt.Sprint(i)] = 1
		if err := l.Note(event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, noted(t, l)); diff != "" {
		t.Error(diff)
	}
}

func TestFailedNotesAreWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := mustFile(t)
		l := open(f)
		mustRecord(t, l, "recorded")
		tamper(t, f, flip(headKey, -1)) // now no append succeeds
		for _, name := range []string{"a", "b", "a"} {
			if err := l.Note(event(name)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // of the synctest bubble, so it takes no real time
		synctest.Wait()
		if err := l.Note(event("c")); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Note, when notes cannot be written: %v, want ErrTampered", err)
		}
		tamper(t, f, flip(headKey, -1)) // repair it
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"recorded": 1, "a": 2, "b": 1, "c": 1}, noted(t, l)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEntriesAreNotReadableInTheFile(t *testing.T) {
	f := mustFile(t)
	l := open(f)
	defer func() { _ = l.Close() }()
	mustRecord(t, l, "SECRET_NAME")
	_ = f.View(func(tx *state.Tx) error {
		log := tx.Bucket("audit")
		for _, stored := range log.From([]byte{0}) {
			if strings.Contains(string(stored), "alice") || strings.Contains(string(stored), "SECRET_NAME") {
				t.Error("the entry is there to read")
			}
		}
		return nil
	})
}

func TestRecordFailsOnAClosedFile(t *testing.T) {
	f := mustFile(t)
	l := open(f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), event("a")); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("Record: %v, want ErrUnavailable", err)
	}
	_ = l.Note(event("a"))
	if err := l.Close(); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("Close, with a note that cannot be written: %v, want ErrUnavailable", err)
	}
	if err := l.Note(event("b")); err == nil {
		t.Error("Note after that: no error")
	}
}
