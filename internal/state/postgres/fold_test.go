package postgres_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// A replica is what a node knows: all rows by bucket and key, at a position.
type replica struct {
	at   state.Position
	rows map[string]change.Row
}

func newReplica(s state.Snapshot, rows []change.Row) *replica {
	r := &replica{at: s.At, rows: map[string]change.Row{}}
	r.apply(rows)
	return r
}

func (r *replica) apply(rows []change.Row) {
	for _, row := range rows {
		id := row.Bucket + "\x00" + string(row.Key)
		if r.rows[id] = row; row.Value == nil {
			delete(r.rows, id)
		}
	}
}

func (r *replica) sorted() []change.Row {
	return slices.SortedFunc(maps.Values(r.rows), func(a, b change.Row) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), bytes.Compare(a.Key, b.Key))
	})
}

// change appends a record of some puts and deletions.
func (r *replica) change(t *testing.T, db *postgres.DB) {
	t.Helper()
	set := newReplica(state.Snapshot{}, nil)
	for range 1 + rand.IntN(20) {
		row := change.Row{Bucket: fmt.Sprint("bucket", rand.IntN(3)), Key: fmt.Append(nil, rand.IntN(300)), Value: make([]byte, rand.IntN(3000))}
		set.apply([]change.Row{row})
	}
	rows := set.sorted()
	for i := range rows {
		if rand.IntN(3) == 0 {
			rows[i].Value = nil
		}
	}
	record := after(r.at, rows...)
	if err := db.Append(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	r.apply(rows)
	r.at = positionOf(record)
}

func (r *replica) snapshot() state.Snapshot {
	return state.Snapshot{ID: first.ID, Lineage: first.Lineage, At: r.at, MAC: fmt.Append(nil, "mac of ", r.at.Seq)}
}

func TestFoldedRowsAreThoseOfTheChanges(t *testing.T) {
	url := newState(t)
	db, other := open(t, url), open(t, url)
	r := newReplica(first, firstRows)
	for _, changes := range []int{1, 30, 450} { // some are more than Fold reads at once
		for range changes {
			r.change(t, db)
		}
		s := r.snapshot()
		if err := other.Fold(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		folded := r.sorted()
		wantRows(t, db, s, folded)
		again := s
		again.MAC = []byte("of the same rows")
		wantError(t, "a fold to the same position", other.Fold(t.Context(), again), nil)
		wantRows(t, db, s, folded)
		for range 3 {
			r.change(t, db)
		}
		wantRows(t, db, s, folded)
	}
	wantError(t, "a fold to an earlier position", db.Fold(t.Context(), first), nil)
	s := r.snapshot()
	s.At.Chain[0]++
	wantError(t, "another chain", db.Fold(t.Context(), s), state.ErrDiverged)
	s = r.snapshot()
	s.Lineage[0]++
	wantError(t, "another lineage", db.Fold(t.Context(), s), state.ErrDiverged)
	s = r.snapshot()
	s.At.Seq++
	wantError(t, "a change that is missing", db.Fold(t.Context(), s), state.ErrDiverged)
}

func TestNodesFoldAtTheSameTime(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	r := newReplica(first, firstRows)
	for range 10 {
		for range 20 {
			r.change(t, one)
		}
		s, done := r.snapshot(), make(chan error)
		go func() { done <- one.Fold(t.Context(), s) }()
		if err := errors.Join(two.Fold(t.Context(), s), <-done); err != nil {
			t.Fatal(err)
		}
		wantRows(t, two, s, r.sorted())
	}
}

func TestTrimmedChangesAreMissed(t *testing.T) {
	db := open(t, newState(t))
	r := newReplica(first, firstRows)
	changes := func(n int) {
		for range n {
			r.change(t, db)
		}
	}
	trim := func(age time.Duration, keep uint64) {
		t.Helper()
		if err := db.Trim(t.Context(), age, keep); err != nil {
			t.Fatal(err)
		}
	}
	wantFirst := func(what string, want uint64) {
		t.Helper()
		if got := records(t, db, want-1); len(got) == 0 {
			t.Errorf("%s: change %d is gone", what, want)
		}
		if want > 8 {
			err := db.Since(t.Context(), want-2, func(state.SharedRecord) error { return nil })
			wantError(t, what+": the change before", err, state.ErrTrimmed)
			wantError(t, what+": a lock at the change before", db.Lock(t.Context(), want-2, func(state.SharedRecord) error { return nil }), state.ErrTrimmed)
		}
	}
	changes(30) // 8 to 37
	trim(0, 0)
	wantFirst("not folded", 8)
	if err := db.Fold(t.Context(), r.snapshot()); err != nil {
		t.Fatal(err)
	}
	wantFirst("folded just now", 8)
	changes(10) // to 47
	trim(time.Hour, 0)
	wantFirst("not old enough", 8)
	trim(0, 35)
	wantFirst("35 are kept", 13)
	trim(0, 0)
	wantFirst("the rest is not folded", 38)
	changes(1)
	if got := records(t, db, 47); len(got) != 1 {
		t.Errorf("%d records, want 1", len(got))
	}
}
