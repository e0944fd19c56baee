package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/audit/stream"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

// patience is the time limit for events on a busy machine.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// mustLog returns an audit log in a state file of its own.
func mustLog(t *testing.T) *audit.Log {
	t.Helper()
	l, _ := mustLogIn(t)
	return l
}

func mustLogIn(t *testing.T) (*audit.Log, *state.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := statetest.Create(path, func(string) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	f, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ring := seal.NewRing()
	l := audit.Open(f, ring.Derive("audit entry"), ring.Derive("audit chain"))
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	})
	return l, f
}

func mustRecord(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		err := l.Record(t.Context(), secret.Event{
			Time: time.Now(), Subject: "alice", Action: secret.Write, Outcome: secret.Done,
			Ref: secret.Ref{Owner: secret.User("alice"), Name: fmt.Sprintf("s%d", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mustStart(t *testing.T, l stream.Log, sink stream.Sink) *stream.Stream {
	t.Helper()
	s, err := stream.Start(l, stream.Destination{ID: "there", Name: "there"}, sink, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustHappen waits until a condition holds.
func mustHappen(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// numbers returns the numbers from first to last.
func numbers(first, last uint64) (all []uint64) {
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// A receiver is a sink in memory, which can fail.
type receiver struct {
	mu     sync.Mutex // guards the fields below
	got    []uint64
	failed error
}

func (r *receiver) Send(_ context.Context, entries []audit.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return r.failed
	}
	for _, e := range entries {
		r.got = append(r.got, e.Seq)
	}
	return nil
}

func (r *receiver) Close() error { return nil }

func (r *receiver) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
}

func (r *receiver) has() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func TestRestartContinuesBehindTheLastDeliveredEntry(t *testing.T) {
	l := mustLog(t)
	mustRecord(t, l, 600) // more than a batch
	var there receiver
	s := mustStart(t, l, &there)
	mustHappen(t, "600 entries", func() bool { return len(there.has()) == 600 })
	mustRecord(t, l, 3)
	if err := s.Close(); err != nil { // sends the rest
		t.Error(err)
	}
	s = mustStart(t, l, &there)
	mustRecord(t, l, 2)
	mustHappen(t, "two more", func() bool { return len(there.has()) >= 605 })
	if got := there.has(); !slices.Equal(got, numbers(1, 605)) {
		t.Errorf("got %v", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestEntriesWaitForACollectorThatIsAway(t *testing.T) {
	l := mustLog(t)
	there := receiver{failed: errors.New("away")}
	s := mustStart(t, l, &there)
	mustRecord(t, l, 5)
	mustHappen(t, "a failure", func() bool { return s.Status().Failures > 0 })
	if got := s.Status(); got.Delivered != 0 || got.Problem == nil || s.Oldest().IsZero() {
		t.Errorf("the status is %+v", got)
	}
	there.fail(nil)
	mustHappen(t, "all entries", func() bool { return len(there.has()) == 5 })
	mustHappen(t, "the status is good again", func() bool { now := s.Status(); return now.Delivered == 5 && now.Problem == nil })
	if !s.Oldest().IsZero() {
		t.Error("an entry waits")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestLostConnectionSendsTheLastEntriesAgain(t *testing.T) {
	l := mustLog(t)
	var there receiver
	s := mustStart(t, l, &there)
	mustRecord(t, l, 3)
	mustHappen(t, "3 entries", func() bool { return len(there.has()) == 3 })
	there.fail(&stream.LostError{At: time.Now(), Err: errors.New("broken")})
	mustRecord(t, l, 1)
	mustHappen(t, "a failure", func() bool { return s.Status().Failures > 0 })
	there.fail(nil)
	mustHappen(t, "all entries again", func() bool { return len(there.has()) == 7 })
	if got, want := there.has(), append(numbers(1, 3), numbers(1, 4)...); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Long ago, the receiver has read the entries or its machine has failed.
func TestLostConnectionDoesNotSendOldEntriesAgain(t *testing.T) {
	l := mustLog(t)
	var there receiver
	s := mustStart(t, l, &there)
	mustRecord(t, l, 3)
	mustHappen(t, "3 entries", func() bool { return len(there.has()) == 3 })
	there.fail(&stream.LostError{At: time.Now().Add(time.Hour), Err: errors.New("broken")})
	mustRecord(t, l, 1)
	mustHappen(t, "a failure", func() bool { return s.Status().Failures > 0 })
	there.fail(nil)
	mustHappen(t, "the new entry", func() bool { return len(there.has()) > 3 })
	if got := there.has(); !slices.Equal(got, numbers(1, 4)) {
		t.Errorf("got %v", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// mustDamage changes an entry past the log.
func mustDamage(t *testing.T, f *state.File, seq byte) {
	t.Helper()
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		log := tx.Bucket("audit")
		key := []byte{0, 0, 0, 0, 0, 0, 0, seq}
		stored := slices.Clone(log.Get(key))
		stored[len(stored)-1] ^= 1
		return log.Put(key, stored)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamagedEntryDoesNotEndTheStream(t *testing.T) {
	l, f := mustLogIn(t)
	mustRecord(t, l, 5)
	mustDamage(t, f, 3)
	var there receiver
	s := mustStart(t, l, &there)
	mustHappen(t, "the readable entries", func() bool { return len(there.has()) == 4 })
	if got, want := there.has(), []uint64{1, 2, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The position after a damaged entry cannot be stored, since its MAC is not known.
func TestRestartBehindADamagedEntrySendsNoneAgain(t *testing.T) {
	l, f := mustLogIn(t)
	mustRecord(t, l, 5)
	mustDamage(t, f, 5)
	var there receiver
	s := mustStart(t, l, &there)
	mustHappen(t, "the damaged entry is skipped", func() bool { return s.Status().Delivered == 5 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	mustRecord(t, l, 1)
	s = mustStart(t, l, &there)
	mustHappen(t, "the new entry", func() bool { return s.Status().Delivered == 6 })
	if got, want := there.has(), []uint64{1, 2, 3, 4, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A stuck sink must not keep the server from stopping.
func TestCloseDoesNotWaitForAStuckSink(t *testing.T) {
	l := mustLog(t)
	mustRecord(t, l, 1)
	stuck := make(stuckSink)
	s := mustStart(t, l, stuck)
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("closing took %s", took)
	}
	close(stuck)
}

// A stuckSink ignores the context until it is closed, as a file on a dead network disk.
type stuckSink chan struct{}

func (s stuckSink) Send(context.Context, []audit.Entry) error {
	<-s
	return errors.New("too late")
}

func (s stuckSink) Close() error { return nil }
