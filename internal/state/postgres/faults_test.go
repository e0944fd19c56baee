package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// A writer is a node that appends records with jobs, which have names.
type writer struct {
	db    *postgres.DB
	name  string
	locks bool // before each record
	at    state.Position

	acknowledged []string
	conflicts    int
	unknown      int
}

// write appends records with a job each until calm is closed, and then some more, or until
// the context ends.
func (w *writer) write(t *testing.T, ctx context.Context, calm <-chan struct{}) {
	more := 200
	for i := 0; more > 0 && ctx.Err() == nil; i++ {
		job := fmt.Sprintf("%s-%d", w.name, i)
		for !w.append(t, job) {
			if ctx.Err() != nil || t.Failed() {
				return
			}
		}
		w.acknowledged = append(w.acknowledged, job)
		select {
		case <-calm:
			more--
		default:
		}
	}
}

// append reports whether the job was appended. Otherwise it was not, or must be repeated.
func (w *writer) append(t *testing.T, job string) (appended bool) {
	if w.locks {
		if err := w.db.Lock(context.Background(), w.at.Seq, w.follow); err != nil {
			return w.failed(t, err)
		}
	}
	r := after(w.at, row("jobs", job, "done"))
	err := w.db.Append(context.Background(), r)
	if errors.Is(err, state.ErrUnknown) {
		w.unknown++
		for errors.Is(err, state.ErrUnknown) || errors.Is(err, state.ErrAway) { // which does not settle it
			err = w.db.Append(context.Background(), r)
		}
	}
	switch {
	case err == nil:
		w.at = positionOf(r)
		return true
	case errors.Is(err, state.ErrConflict):
		w.conflicts++
		return w.failed(t, w.db.Since(context.Background(), w.at.Seq, w.follow))
	}
	return w.failed(t, err)
}

func (w *writer) failed(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, state.ErrAway) {
		t.Errorf("%s at %d: %v", w.name, w.at.Seq, err)
	}
	if err != nil {
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// follow checks the chain of records of other nodes.
func (w *writer) follow(r state.SharedRecord) error {
	if want := w.at.Chain.Next(chainKey{}, w.at.Seq+1, r.Content); r.Seq != w.at.Seq+1 || r.Chain != want {
		return fmt.Errorf("record %d does not continue %d", r.Seq, w.at.Seq)
	}
	w.at = positionOf(r)
	return nil
}

// wantEach fails unless each acknowledged job is in the log once, in one chain.
func wantEach(t *testing.T, db *postgres.DB, writers []*writer) {
	t.Helper()
	times := map[string]int{}
	check := writer{at: first.At}
	err := db.Since(t.Context(), first.At.Seq, func(r state.SharedRecord) error {
		rows, err := change.Decode(r.Content)
		for _, row := range rows {
			times[string(row.Key)]++
		}
		return errors.Join(err, check.follow(r))
	})
	if err != nil {
		t.Fatal(err)
	}
	lost, twice, acknowledged := 0, 0, 0
	for _, n := range times {
		twice += n - 1
	}
	for _, w := range writers {
		acknowledged += len(w.acknowledged)
		lost += len(slices.DeleteFunc(slices.Clone(w.acknowledged), func(job string) bool { return times[job] == 1 }))
		t.Logf("%s: %d acknowledged, %d conflicts, %d times unknown", w.name, len(w.acknowledged), w.conflicts, w.unknown)
	}
	if lost+twice > 0 || acknowledged == 0 {
		t.Errorf("of %d acknowledged jobs %d are lost, and %d were done again", acknowledged, lost, twice)
	}
}

// write runs writers, of which every second locks, during faults and a little longer.
func write(t *testing.T, dbs []*postgres.DB, faults func(context.Context)) []*writer {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var writers []*writer
	var group sync.WaitGroup
	calm := make(chan struct{})
	for i, db := range dbs {
		w := &writer{db: db, name: fmt.Sprint("writer", i), locks: i%2 == 1, at: first.At}
		writers = append(writers, w)
		group.Go(func() { w.write(t, ctx, calm) })
	}
	defer group.Wait()
	defer close(calm)
	faults(ctx)
	return writers
}

func TestNothingIsLostOrDoneTwiceWhenConnectionsAreCut(t *testing.T) {
	t.Parallel()
	url := newState(t)
	server := pgtest.Start(t)
	proxy := pgtest.NewProxy(t, server.Address())
	var dbs []*postgres.DB
	for range 3 {
		dbs = append(dbs, open(t, pgtest.Via(url, proxy.Address())))
	}
	proxy.CutAtRandom(0.02)
	writers := write(t, dbs, func(ctx context.Context) {
		for proxy.Cuts() < 200 && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
			server.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+nameOf(t, url)+"' and random() < 0.2")
		}
	})
	proxy.CutAtRandom(0)
	t.Logf("%d cuts", proxy.Cuts())
	if proxy.Cuts() < 50 {
		t.Errorf("%d cuts, which are too few", proxy.Cuts())
	}
	wantEach(t, open(t, url), writers)
}

func TestNothingIsLostWhenTheServerCrashes(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	url := server.NewDatabase(t)
	mustImport(t, url)
	writers := write(t, []*postgres.DB{open(t, url), open(t, url)}, func(context.Context) {
		for i := range 4 {
			time.Sleep(500 * time.Millisecond)
			if i%2 == 0 {
				server.Kill()
			}
			server.Restart(t)
		}
	})
	wantEach(t, open(t, url), writers)
}

func TestNothingIsLostWhenTheStandbyIsPromoted(t *testing.T) {
	t.Parallel()
	primary := pgtest.New(t)
	url := primary.NewDatabase(t)
	mustImport(t, url)
	standby := primary.Standby(t)
	both := pgtest.Via(url, standby.Address()+","+primary.Address()) // the standby is asked first, and refused
	writers := write(t, []*postgres.DB{open(t, both), open(t, both)}, func(context.Context) {
		time.Sleep(time.Second)
		primary.Kill()
		standby.Promote(t)
	})
	wantEach(t, open(t, both), writers)
}

// An administrator can cancel the wait for a standby. PostgreSQL then reports success,
// although the loss of this server would lose the change.
func TestCanceledWaitForTheStandbyIsNoSuccess(t *testing.T) {
	t.Parallel()
	primary := pgtest.New(t)
	url := primary.NewDatabase(t)
	mustImport(t, url)
	standby := primary.Standby(t)
	t.Cleanup(primary.Kill)
	one, two := open(t, url), open(t, url)
	at := mustAppend(t, one, first.At, 1)
	standby.Stop(t)
	if err := two.Lock(t.Context(), at.Seq, nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- two.Append(context.WithoutCancel(t.Context()), after(at)) }()
	for range 3 {
		time.Sleep(500 * time.Millisecond)
		canceled := primary.Exec(t, "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'")
		if strings.TrimSpace(canceled) != "1" {
			t.Errorf("%s waits for the standby, want 1", canceled)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("the append has returned %v without the standby", err)
	case <-time.After(500 * time.Millisecond):
	}
	standby.Restart(t)
	wantError(t, "the append, with the standby", <-done, nil)
}

// A cut network leaves connections open on which nothing comes.
func TestAppendsAreSettledAfterTheNetworkWasCut(t *testing.T) {
	t.Parallel()
	url := newState(t)
	proxy := pgtest.NewProxy(t, pgtest.Start(t).Address())
	db := open(t, pgtest.Via(url, proxy.Address()))
	at := mustAppend(t, db, first.At, 1)
	proxy.Stall(true)
	began := time.Now()
	_, err := db.Head(t.Context())
	wantError(t, "the head", err, state.ErrAway)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the head took %v", took)
	}
	r := after(at)
	began = time.Now()
	wantError(t, "an append", db.Append(t.Context(), r), state.ErrUnknown)
	if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
		t.Errorf("the append took %v", took)
	}
	proxy.Stall(false)
	for err = state.ErrAway; errors.Is(err, state.ErrAway); {
		err = db.Append(t.Context(), r)
	}
	wantError(t, "the same append again", err, nil)
	if got := records(t, db, at.Seq); len(got) != 1 {
		t.Errorf("%d records, want 1", len(got))
	}
}

func TestAnotherStateInTheSamePlaceIsRefused(t *testing.T) {
	url := newState(t)
	db := open(t, url)
	execute(t, url, "drop schema strongroom cascade")
	other := first
	other.Lineage[0]++
	if err := postgres.Import(t.Context(), postgres.Options{URL: url}, dump(other)); err != nil {
		t.Fatal(err)
	}
	pgtest.Start(t).Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+nameOf(t, url)+"'")
	wantError(t, "an append", db.Append(t.Context(), after(first.At)), state.ErrDiverged)
	_, err := db.Head(t.Context())
	wantError(t, "the head", err, state.ErrDiverged)
}

// The caller of Since and Lock keeps all changes of its node waiting.
func TestReadsEndAfterTheNetworkWasCut(t *testing.T) {
	t.Parallel()
	url := newState(t)
	proxy := pgtest.NewProxy(t, pgtest.Start(t).Address())
	db := open(t, pgtest.Via(url, proxy.Address()))
	mustAppend(t, db, first.At, 1)
	_, err := db.Folded(t.Context())
	wantError(t, "the folded position", err, nil)
	ignore := func(state.SharedRecord) error { return nil }
	for what, read := range map[string]func() error{
		"Since":  func() error { return db.Since(t.Context(), first.At.Seq, ignore) },
		"Lock":   func() error { return db.Lock(t.Context(), first.At.Seq, ignore) },
		"Folded": func() error { _, err := db.Folded(t.Context()); return err },
	} {
		proxy.Stall(true)
		began, ended := time.Now(), make(chan error, 1)
		go func() { ended <- read() }()
		select {
		case err := <-ended:
			wantError(t, what, err, state.ErrAway)
			t.Logf("%s took %v", what, time.Since(began))
		case <-time.After(20 * time.Second):
			t.Errorf("%s still waits after %v", what, time.Since(began))
		}
		proxy.Stall(false)
		for err = state.ErrAway; errors.Is(err, state.ErrAway); {
			err = db.Since(t.Context(), first.At.Seq, ignore)
		}
		wantError(t, "Since, with the network", err, nil)
	}
}
