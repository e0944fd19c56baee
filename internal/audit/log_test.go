package audit_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

var ring = seal.NewRing()

func mustFile(t *testing.T) *state.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := state.Create(path, func(string) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	f, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func open(f *state.File) *audit.Log {
	return audit.Open(f, ring.Derive("audit entry"), ring.Derive("audit chain"))
}

func event(name string) secret.Event {
	return secret.Event{
		Time: time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC), Subject: "alice", Key: "k7", From: "::1", Request: "R1",
		Action: secret.Write, Ref: secret.Ref{Owner: secret.User("alice"), Name: name}, NewName: "new", Outcome: secret.Done,
	}
}

func mustRecord(t *testing.T, l *audit.Log, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := l.Record(t.Context(), event(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func entries(t *testing.T, l *audit.Log) (all []audit.Entry) {
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

func TestWhatIsRecordedIsReadBack(t *testing.T) {
	f := mustFile(t)
	l := open(f)
	mustRecord(t, l, "a", "b")
	want := []audit.Entry{{Seq: 1, Event: event("a"), Count: 1}, {Seq: 2, Event: event("b"), Count: 1}}
	if diff := cmp.Diff(want, entries(t, l)); diff != "" {
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

func TestNotesAlikeAreOneEntry(t *testing.T) {
	l := open(mustFile(t))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			e := event(fmt.Sprint("secret", i%2))
			e.Request, e.Time = fmt.Sprint(i), time.Now()
			if err := l.Note(e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries(t, l) {
		count += e.Count
	}
	if got := len(entries(t, l)); count != 100 || got > 4 {
		t.Errorf("%d entries count %d notes, want 100 in 2, or 4 if written between", got, count)
	}
}

func TestNotesAreOnRecordWithinASecond(t *testing.T) {
	l := open(mustFile(t))
	defer func() { _ = l.Close() }()
	if err := l.Note(event("a")); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Second)
	for len(entries(t, l)) == 0 {
		select {
		case <-deadline:
			t.Fatal("not on record after a second")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestMoreNotesThanMemoryHoldsAreAllOnRecord(t *testing.T) {
	l := open(mustFile(t))
	for i := range 10_000 {
		if err := l.Note(event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(entries(t, l)); got != 10_000 {
		t.Errorf("%d entries, want 10000", got)
	}
}

// tamper changes the stored entries as somebody would who can write the file
// but has not the keys.
func tamper(t *testing.T, f *state.File, change func(log *state.Bucket) error) {
	t.Helper()
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		log := tx.Bucket("audit")
		return change(&log)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func seq(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func TestTamperingIsNoticedAtItsPlace(t *testing.T) {
	for _, tc := range []struct {
		what   string
		change func(log *state.Bucket) error
		want   string
	}{
		{"an edited entry", func(log *state.Bucket) error {
			stored := []byte(string(log.Get(seq(3))))
			stored[len(stored)-1] ^= 1
			return log.Put(seq(3), stored)
		}, "entry 3"},
		{"a dropped entry", func(log *state.Bucket) error { return log.Delete(seq(2)) }, "entry 2"},
		{"a dropped first entry", func(log *state.Bucket) error { return log.Delete(seq(1)) }, "entry 1"},
		{"two swapped entries", func(log *state.Bucket) error {
			a, b := string(log.Get(seq(2))), string(log.Get(seq(3)))
			return errors.Join(log.Put(seq(2), []byte(b)), log.Put(seq(3), []byte(a)))
		}, "entry 2"},
		{"an entry again at the end", func(log *state.Bucket) error {
			return log.Put(seq(5), []byte(string(log.Get(seq(4)))))
		}, "entry 5"},
		{"an empty entry", func(log *state.Bucket) error { return log.Put(seq(4), nil) }, "entry 4"},
	} {
		f := mustFile(t)
		l := open(f)
		mustRecord(t, l, "a", "b", "c", "d")
		tamper(t, f, tc.change)
		err := l.Entries(func(audit.Entry) error { return nil })
		if !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want ErrTampered at %s", tc.what, err, tc.want)
		}
		_ = l.Close()
	}
}

func TestNothingOfAnEntryIsReadableInTheFile(t *testing.T) {
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
