package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// mustFill appends n entries in one commit, a second apart.
func mustFill(t testing.TB, f *state.File, l *audit.Log, n int) {
	t.Helper()
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		for i := range n {
			e := event(fmt.Sprint(i))
			e.Time = start.Add(time.Duration(i) * time.Second)
			if err := l.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPruneDropsOldEntriesAndIsRecorded(t *testing.T) {
	for _, tc := range []struct {
		before  time.Duration
		dropped int
		records int // pruning entries, one for each commit
	}{
		{0, 0, 0},
		{time.Second, 1, 1},
		{1024 * time.Second, 1024, 1},
		{2500 * time.Second, 2500, 3},
		{1e6 * time.Second, 3000, 3}, // in the future: pruning keeps its own entries
	} {
		f := mustFile(t)
		l := mustLog(t, f)
		mustFill(t, f, l, 3000)
		dropped, err := l.Prune(t.Context(), start.Add(tc.before), secret.Event{Subject: "ops", Request: "R9"})
		if dropped != tc.dropped || err != nil {
			t.Errorf("before %v: dropped %d, %v, want %d", tc.before, dropped, err, tc.dropped)
		}
		r, err := l.Verify(t.Context())
		if want := 3000 - tc.dropped + tc.records; r.Entries != want || err != nil {
			t.Errorf("before %v: %d entries, %v, want %d", tc.before, r.Entries, err, want)
		}
		wantOnRecord(t, l, tc.records, tc.dropped)
		if c, err := l.Checkpoint(); err != nil || c.Seq != uint64(tc.dropped) || c.Dropped != tc.dropped {
			t.Errorf("before %v: checkpoint %+v, %v", tc.before, c, err)
		}
	}
}

func wantOnRecord(t *testing.T, l *audit.Log, records, dropped int) {
	t.Helper()
	for _, e := range entries(t, l) {
		if e.Event.Action == audit.Pruning {
			records, dropped = records-1, dropped-e.Count
			if e.Event.Subject != "ops" || e.Event.Request != "R9" || e.Event.Outcome != secret.Done {
				t.Errorf("on record as %+v", e.Event)
			}
		}
	}
	if records != 0 || dropped != 0 {
		t.Errorf("on record are %d too few prunings and %d too few entries", records, dropped)
	}
}

func TestSecondPruneContinuesFromTheCheckpoint(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	mustFill(t, f, l, 100)
	for i, want := range []int{10, 10, 0} {
		before := start.Add(time.Duration(min(10*i+10, 20)) * time.Second)
		if got, err := l.Prune(t.Context(), before, secret.Event{}); got != want || err != nil {
			t.Errorf("pruning %d: dropped %d, %v, want %d", i, got, err, want)
		}
	}
	mustRecord(t, l, "later")
	if r, err := l.Verify(t.Context()); err != nil || r.First.Seq != 21 || r.Last.Seq != 103 {
		t.Errorf("first %d, last %d, %v, want 21 to 103", r.First.Seq, r.Last.Seq, err)
	}
}

func TestPruneKeepsTracesOfTampering(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	tamper(t, f, flip(seq(5), -1))
	if n, err := l.Prune(t.Context(), time.Now(), secret.Event{}); n != 0 || !errors.Is(err, audit.ErrTampered) {
		t.Errorf("dropped %d, %v, want ErrTampered", n, err)
	}
	if got := len(rows(t, f)); got != 6 {
		t.Errorf("%d rows, want the 6 there were", got)
	}
}

func TestAnEarlierCheckpointDoesNotHideLaterDrops(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	earlier := rows(t, f)[0]
	if _, err := l.Prune(t.Context(), start.Add(5*time.Hour), secret.Event{}); err != nil {
		t.Fatal(err)
	}
	tamper(t, f, func(log *state.Bucket) error { return log.Put(earlier.key, earlier.value) })
	_, err := l.Verify(t.Context())
	if got, ok := errors.AsType[*audit.Break](err); !ok || *got != (audit.Break{What: audit.Missing, Seq: 4, Last: 5}) {
		t.Errorf("got %v, want entries 4 to 5 missing", err)
	}
}

func TestPruneEndsWithItsContext(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	mustFill(t, f, l, 10)
	if n, err := l.Prune(canceled(t), time.Now(), secret.Event{}); n != 0 || err == nil {
		t.Errorf("dropped %d, %v, want an error", n, err)
	}
	if _, err := l.Verify(canceled(t)); err == nil {
		t.Error("Verify: no error")
	}
}

// queueing reports that Update asks for the end of its context, its last step before it
// queues.
type queueing struct {
	context.Context
	asked chan<- struct{}
}

func (q queueing) Done() <-chan struct{} {
	q.asked <- struct{}{}
	return q.Context.Done()
}

// Two processes that share the state have a Log each. Both have read the entries to drop
// when the first of them commits.
func TestOneOfTwoPruningsIsRefused(t *testing.T) {
	f := mustFile(t)
	one, two := mustLog(t, f), mustLog(t, f)
	mustFill(t, f, one, 1000)
	began, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	var hold sync.Once
	all.Go(func() {
		err := f.Update(t.Context(), func(*state.Tx) error {
			hold.Do(func() { close(began); <-goOn })
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-began
	asked := make(chan struct{}, 2)
	type outcome struct {
		dropped int
		err     error
	}
	outcomes := make(chan outcome, 2)
	for n, l := range map[time.Duration]*audit.Log{300: one, 600: two} {
		all.Go(func() {
			dropped, err := l.Prune(queueing{t.Context(), asked}, start.Add(n*time.Second), secret.Event{Subject: "ops"})
			outcomes <- outcome{dropped, err}
		})
	}
	<-asked
	<-asked
	close(goOn)
	all.Wait()
	a, b := <-outcomes, <-outcomes
	if a.err != nil {
		a, b = b, a
	}
	c, err := one.Checkpoint()
	if a.err != nil || !errors.Is(b.err, audit.ErrPruned) || b.dropped != 0 || err != nil || c.Seq != uint64(a.dropped) {
		t.Errorf("%+v and %+v, and the checkpoint is %+v, %v", a, b, c, err)
	}
	if r, err := one.Verify(t.Context()); err != nil || r.Entries != 1000-a.dropped+1 {
		t.Errorf("%d entries, %v", r.Entries, err)
	}
	if n, err := two.Prune(t.Context(), start.Add(900*time.Second), secret.Event{Subject: "ops"}); n != 900-a.dropped || err != nil {
		t.Errorf("the next pruning drops %d, %v", n, err)
	}
}
