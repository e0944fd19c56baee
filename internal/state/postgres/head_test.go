package postgres_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// The answers must be shared, and yet none may be older than its call.
func TestHeadIsSharedAndNeverOld(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	before := transactions(t, url)
	var appended atomic.Uint64
	appended.Store(first.At.Seq)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var group sync.WaitGroup
	appends, calls, old := 0, atomic.Int64{}, atomic.Int64{}
	group.Go(func() {
		for at := first.At; ctx.Err() == nil; appends++ {
			r := after(at)
			if err := one.Append(t.Context(), r); err != nil {
				t.Error(err)
				return
			}
			at = positionOf(r)
			appended.Store(at.Seq)
		}
	})
	for range 64 {
		group.Go(func() {
			for ; ctx.Err() == nil; calls.Add(1) {
				known := appended.Load()
				at, err := two.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if at.Seq < known {
					old.Add(1)
				}
			}
		})
	}
	group.Wait()
	queries := transactions(t, url) - before - appends
	t.Logf("%d calls, %d queries beside %d appends", calls.Load(), queries, appends)
	if old.Load() > 0 {
		t.Errorf("%d answers were older than their calls", old.Load())
	}
	if int64(queries)*8 > calls.Load() {
		t.Errorf("%d queries for %d calls", queries, calls.Load())
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := two.Head(canceled); err != nil {
		wantError(t, "a canceled call", err, context.Canceled)
	}
}

// transactions returns how many transactions there have been in a database.
func transactions(t *testing.T, url string) int {
	t.Helper()
	time.Sleep(1200 * time.Millisecond) // until idle connections have reported theirs
	out := pgtest.Start(t).Exec(t, "select xact_commit + xact_rollback from pg_stat_database where datname = '"+nameOf(t, url)+"'")
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNodesThatLockHaveEqualShares(t *testing.T) {
	url := newState(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	var writers []*writer
	var group sync.WaitGroup
	for _, name := range []string{"one", "two", "three"} {
		w := &writer{db: open(t, url), name: name, locks: true, at: first.At}
		writers = append(writers, w)
		group.Go(func() { w.write(t, ctx, nil) })
	}
	group.Wait()
	wantEach(t, open(t, url), writers)
	total := 0
	for _, w := range writers {
		total += len(w.acknowledged)
	}
	for _, w := range writers {
		if share := len(w.acknowledged); share*6 < total {
			t.Errorf("%s has appended %d of %d", w.name, share, total)
		}
		if w.conflicts > 0 {
			t.Errorf("%s: %d conflicts in spite of the lock", w.name, w.conflicts)
		}
	}
}

// A node that stops with the lock held must not stop the others for long.
func TestLockEndsByItself(t *testing.T) {
	t.Parallel()
	url := newState(t)
	stopped, other := open(t, url), open(t, url)
	nothing := func(state.SharedRecord) error { return nil }
	if err := stopped.Lock(t.Context(), first.At.Seq, nothing); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := after(first.At)
	wantError(t, "the other node's append", other.Append(t.Context(), r), nil)
	if took := time.Since(began); took < time.Second || took > 6*time.Second {
		t.Errorf("the other node has waited for %v", took)
	}
	wantError(t, "an append after the lock has ended", stopped.Append(t.Context(), after(first.At)), state.ErrConflict)
	wantError(t, "an append after that", stopped.Append(t.Context(), after(positionOf(r))), nil)
}

func TestEverythingWorksThroughPgBouncer(t *testing.T) {
	url := newDatabase(t)
	url = pgtest.Via(url, pgtest.Start(t).Bouncer(t))
	mustImport(t, url)
	one, two := open(t, url), open(t, url)
	writers := write(t, []*postgres.DB{one, two}, func(context.Context) {})
	wantEach(t, open(t, url), writers)
	wantRows(t, two, first, firstRows)
	at, err := one.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at = mustAppend(t, one, at, 1)
	if head, err := two.Head(t.Context()); err != nil || head != at {
		t.Errorf("the other node's head is %v (%v), want %v", head, err, at)
	}
}

// PgBouncer gives connections to others, which do as they like with named statements.
func TestNamedStatementsAreNotMissedWhereTheyAreLost(t *testing.T) {
	url := newDatabase(t)
	url = pgtest.Via(url, pgtest.Start(t).Bouncer(t))
	mustImport(t, url)
	at := first.At
	appends := func(t *testing.T, db *postgres.DB) { at = mustAppend(t, db, at, 1) }
	head := func(t *testing.T, db *postgres.DB) {
		if got, err := db.Head(t.Context()); err != nil || got != at {
			t.Errorf("head %v, %v, want %v", got, err, at)
		}
	}
	since := func(t *testing.T, db *postgres.DB) {
		wantError(t, "Since", db.Since(t.Context(), at.Seq, nil), nil)
	}
	locksAndAppends := func(t *testing.T, db *postgres.DB) {
		wantError(t, "Lock", db.Lock(t.Context(), at.Seq, nil), nil)
		wantLocks(t, url, 1)
		appends(t, db)
		wantLocks(t, url, 0)
	}
	usesTwice := func(t *testing.T, db *postgres.DB, uses func(*testing.T, *postgres.DB)) {
		uses(t, db)
		uses(t, db)
		if n := db.Counts().Repeated; n > 0 {
			t.Errorf("the outcome of %d appends was taken for unknown", n)
		}
	}
	for _, tc := range []struct {
		name        string
		names, uses func(*testing.T, *postgres.DB)
	}{
		{"Append", appends, appends},
		{"Head", head, head},
		{"Since", since, since},
		{"Lock", locksAndAppends, locksAndAppends},
		{"Append after Lock", appends, locksAndAppends},
	} {
		t.Run(tc.name+", missing", func(t *testing.T) {
			deallocate(t, url)
			db := open(t, url)
			tc.names(t, db)
			deallocate(t, url)
			usesTwice(t, db, tc.uses)
		})
		t.Run(tc.name+", of another node", func(t *testing.T) {
			deallocate(t, url)
			tc.names(t, open(t, url))
			db := open(t, url)
			usesTwice(t, db, tc.uses)
		})
	}
	if got := len(records(t, open(t, url), first.At.Seq)); uint64(got) != at.Seq-first.At.Seq {
		t.Errorf("%d records, want %d", got, at.Seq-first.At.Seq)
	}
}

func deallocate(t *testing.T, url string) {
	t.Helper()
	if _, err := pgtest.Query(url, "deallocate all"); err != nil {
		t.Fatal(err)
	}
}

// wantLocks checks how many nodes hold the lock of the log.
func wantLocks(t *testing.T, url string, want int) {
	t.Helper()
	out := pgtest.Start(t).Exec(t, "select count(*) from pg_locks l join pg_database d on d.oid = l.database where locktype = 'advisory' and datname = '"+nameOf(t, url)+"'")
	if got := strings.TrimSpace(out); got != strconv.Itoa(want) {
		t.Errorf("%s nodes hold the lock, want %d", got, want)
	}
}
