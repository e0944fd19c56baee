package audit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

func mustSetPosition(t *testing.T, l *audit.Log, destination string, seq uint64) audit.Position {
	t.Helper()
	found, err := l.Read(seq-1, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("entry %d: %v", seq, err)
	}
	if err := l.SetPosition(t.Context(), destination, found[0].Position()); err != nil {
		t.Fatal(err)
	}
	return found[0].Position()
}

func wantPosition(t *testing.T, l *audit.Log, destination string, want audit.Position, wantErr error) {
	t.Helper()
	if got, err := l.Position(destination); got != want || !errors.Is(err, wantErr) {
		t.Errorf("the position of %s is %d, %v, want %d, %v", destination, got.Seq, err, want.Seq, wantErr)
	}
}

func TestEachDestinationHasItsPosition(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	mustFill(t, f, l, 5)
	a, b := mustSetPosition(t, l, "a", 3), mustSetPosition(t, l, "b", 5)
	wantPosition(t, l, "a", a, nil)
	wantPosition(t, l, "b", b, nil)
	wantPosition(t, l, "c", audit.Position{}, nil)
}

func TestPositionOfAnotherLogIsRefused(t *testing.T) {
	const row = "audit/sent"
	for name, change := range map[string]func(tx *state.Tx) error{
		"the log was cut off": func(tx *state.Tx) error {
			log := tx.Bucket("audit")
			return log.Delete(seq(3))
		},
		"the row was changed": func(tx *state.Tx) error {
			sent := tx.Bucket(row)
			for key, stored := range sent.From(nil) {
				stored = append([]byte{}, stored...)
				stored[7]++
				return sent.Put(key, stored)
			}
			return errors.New("there is no row")
		},
		"the row was cut off": func(tx *state.Tx) error {
			sent := tx.Bucket(row)
			for key, stored := range sent.From(nil) {
				return sent.Put(key, stored[:8])
			}
			return errors.New("there is no row")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustFile(t)
			l := mustLog(t, f)
			mustFill(t, f, l, 5)
			wantPosition(t, l, "a", mustSetPosition(t, l, "a", 3), nil)
			if err := f.Update(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			wantPosition(t, l, "a", audit.Position{}, audit.ErrPosition)
		})
	}
}

func TestPruneKeepsUnsentEntries(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	l.KeepUnsent("a")
	mustFill(t, f, l, 10)
	for _, tc := range []struct {
		position uint64
		dropped  int
	}{{0, 0}, {4, 4}, {4, 0}, {10, 6}} {
		if tc.position > 0 && tc.dropped > 0 {
			mustSetPosition(t, l, "a", tc.position)
		}
		dropped, err := l.Prune(t.Context(), start.Add(time.Hour), secret.Event{Subject: "ops"})
		if dropped != tc.dropped || err != nil {
			t.Errorf("with position %d: dropped %d, %v, want %d", tc.position, dropped, err, tc.dropped)
		}
	}
	p, err := l.Position("a")
	if err != nil || p.Seq != 10 {
		t.Errorf("after the pruning the position is %d, %v", p.Seq, err)
	}
}

// Such a stream sends all entries again.
func TestPruneKeepsAllEntriesIfThePositionIsNotOfThisLog(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	l.KeepUnsent("a")
	mustFill(t, f, l, 10)
	if err := l.SetPosition(t.Context(), "a", audit.Position{Seq: 4}); err != nil {
		t.Fatal(err)
	}
	wantPosition(t, l, "a", audit.Position{}, audit.ErrPosition)
	if dropped, err := l.Prune(t.Context(), start.Add(time.Hour), secret.Event{Subject: "ops"}); dropped != 0 || err != nil {
		t.Errorf("dropped %d, %v, want 0", dropped, err)
	}
}
