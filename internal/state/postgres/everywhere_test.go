package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state/postgres"
)

// beat says that the node has come so far.
func beat(t *testing.T, db *postgres.DB, seq uint64, staleness time.Duration) {
	t.Helper()
	if err := db.Beat(t.Context(), seq, staleness); err != nil {
		t.Fatal(err)
	}
}

// everywhere returns how long a change took to be everywhere.
func everywhere(t *testing.T, db *postgres.DB, seq uint64) time.Duration {
	t.Helper()
	began := time.Now()
	if err := db.Everywhere(t.Context(), seq); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

func TestChangeWaitsForNodesThatAllowStaleness(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	const staleness = 3 * time.Second
	beat(t, one, 7, staleness) // itself, before it has told the others
	beat(t, two, 7, 0)
	if took := everywhere(t, one, 8); took > staleness/2 {
		t.Errorf("it waited for %s although no other node allows staleness", took)
	}
	beat(t, two, 7, staleness)
	if took := everywhere(t, one, 7); took > staleness/2 {
		t.Errorf("it waited for %s although the node has the change", took)
	}
	if took := everywhere(t, one, 8); took < staleness || took > 5*staleness {
		t.Errorf("it waited for %s, want %s: the node may not have the change", took, staleness)
	}
	ctx, cancel := context.WithTimeout(t.Context(), staleness/4)
	defer cancel()
	beat(t, two, 7, staleness)
	if err := one.Everywhere(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the error of the context", err)
	}
	applied := time.AfterFunc(staleness/4, func() { beat(t, two, 8, staleness) })
	defer applied.Stop()
	if took := everywhere(t, one, 8); took < staleness/4 || took >= staleness {
		t.Errorf("it waited for %s, want until the node has applied the change", took)
	}
}

func TestChangeDoesNotWaitForASilentNode(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	beat(t, two, 7, time.Second)
	time.Sleep(time.Second)
	if took := everywhere(t, one, 8); took > time.Second/2 {
		t.Errorf("it waited for %s for a node that has said nothing for as long as its staleness", took)
	}
}
