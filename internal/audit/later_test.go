package audit_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

func read(name string, outcome secret.Outcome) secret.Event {
	e := event(name)
	e.Action, e.NewName, e.Outcome = secret.Reveal, "", outcome
	return e
}

// shown returns the number of entries that are on disk.
func shown(t *testing.T, l *audit.Log) uint64 {
	t.Helper()
	a, err := l.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	return a.Seq
}

// In one of many attempts at least, the entry is returned before its flush.
func TestOnlyValueReadsAreFlushedLater(t *testing.T) {
	count := func(tx secret.Tx) error {
		b := tx.(*state.Tx).Bucket("issued")
		return b.Put([]byte("key"), []byte("reads"))
	}
	for _, tc := range []struct {
		what    string
		written bool // the mode of the log
		event   secret.Event
		steps   []func(secret.Tx) error
		later   bool
	}{
		{"a value read", true, read("a", secret.Done), nil, true},
		{"a value read from another store", true, read("a", secret.Unknown), nil, true},
		{"a counted value read", true, read("a", secret.Done), []func(secret.Tx) error{count}, false},
		{"a denied value read", true, read("a", secret.Denied), nil, false},
		{"a write", true, event("a"), nil, false},
		{"a value read by default", false, read("a", secret.Done), nil, false},
	} {
		t.Run(tc.what, func(t *testing.T) {
			l := mustLog(t, mustFile(t))
			if tc.written {
				l.WriteValueReads()
			}
			later := false
			for n := range uint64(50) {
				if err := l.Record(t.Context(), tc.event, tc.steps...); err != nil {
					t.Fatal(err)
				}
				later = later || shown(t, l) <= n
			}
			if later != tc.later {
				t.Errorf("it precedes its flush: %v, want %v", later, tc.later)
			}
		})
	}
}

// The anchor never has an entry that a power failure could take back.
func TestAnchorIsNotAheadOfTheDisk(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	l := open(f)
	l.WriteValueReads()
	anchor := filepath.Join(t.TempDir(), "anchor")
	mustRecord(t, l, "first")
	for n := range 30 {
		if err := l.Record(t.Context(), read(fmt.Sprint(n), secret.Done)); err != nil {
			t.Fatal(err)
		}
		a, err := l.Anchor()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CheckAnchor(a.String()); err != nil {
			t.Fatalf("anchor %d does not fit what is on disk: %v", a.Seq, err)
		}
	}
	a, err := audit.AnchorToFile(l, anchor, quiet)
	if err := errors.Join(err, l.Close(), a.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	l = mustLog(t, mustOpen(t, path))
	if err := l.CheckAnchor(mustRead(t, anchor)); err != nil {
		t.Error(err)
	}
	if got := len(entries(t, l)); got != 31 {
		t.Errorf("%d entries after a stop, want 31", got)
	}
}
