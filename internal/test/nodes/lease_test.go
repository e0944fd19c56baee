package nodes_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// A register is a number in the state that only grows.
type register []byte

func (r register) in(tx *state.Tx) uint64 {
	b := tx.Bucket("test")
	if value := b.Get(r); value != nil {
		return binary.BigEndian.Uint64(value)
	}
	return 0
}

func (r register) read(t *testing.T, n *node) (value uint64) {
	if err := n.request(t.Context()); err != nil {
		t.Error(err)
	}
	err := n.file.View(func(tx *state.Tx) error {
		value = r.in(tx)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return value
}

func (r register) raise(t *testing.T, n *node) (value uint64) {
	err := n.file.Update(t.Context(), func(tx *state.Tx) error {
		value = r.in(tx) + 1
		b := tx.Bucket("test")
		return b.Put(r, binary.BigEndian.AppendUint64(nil, value))
	})
	if err != nil {
		t.Error(err)
	}
	return value
}

func (n *node) mustTakeLease(t *testing.T) {
	t.Helper()
	if err := n.file.TakeLease(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// asked returns a counter of the node's queries of the head.
func (n *node) asked() *atomic.Int64 {
	count := new(atomic.Int64)
	n.db.ObserveHead(func(time.Duration) { count.Add(1) })
	return count
}

func TestHolderOfTheLeaseReadsWithoutAsking(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 2), register("counter")
	n, other := i.nodes[0], i.nodes[1]
	if n.file.MayTakeLease() {
		t.Error("a node that has just started may take the lease, but others can start too")
	}
	for began := time.Now(); !n.file.MayTakeLease(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("a node that meets no other one may not take the lease")
		}
		counter.read(t, n)
	}
	asked := n.asked()
	n.mustTakeLease(t)
	if n.file.MayTakeLease() {
		t.Error("the holder may take the lease")
	}
	for range 100 {
		if got, want := counter.read(t, n), counter.raise(t, n)-1; got != want {
			t.Fatalf("read %d, want %d", got, want)
		}
	}
	if got := asked.Load(); got > 5 { // if it was held up for a second
		t.Errorf("the holder has asked the database %d times in 100 reads and changes", got)
	}
	time.Sleep(1200 * time.Millisecond)
	before := asked.Load()
	if counter.read(t, n); asked.Load() == before {
		t.Error("the holder reads without asking for more than a second")
	}
	counter.raise(t, other)
	counter.read(t, n)
	if before = asked.Load(); counter.read(t, n) != 101 || asked.Load() == before {
		t.Error("a node whose lease another one has ended does not ask the database")
	}
	if n.file.MayTakeLease() {
		t.Error("a node that has just met another one may take the lease")
	}
}

// Each round, one node takes the lease, and another one ends it.
func TestChangesCountOnTheHolderOfTheLease(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 3), register("counter")
	var acknowledged atomic.Uint64
	var all sync.WaitGroup
	over := make(chan struct{})
	for _, n := range i.nodes {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				want := acknowledged.Load()
				if got := counter.read(t, n); got < want {
					t.Errorf("a node reads %d after %d was acknowledged", got, want)
					return
				}
			}
		})
	}
	for round := range 6 {
		holder, other := i.nodes[round%3], i.nodes[(round+1)%3]
		holder.mustTakeLease(t)
		if round%2 == 1 { // the holder has confirmed it just now
			counter.read(t, holder)
		}
		began := time.Now()
		for range 20 {
			acknowledged.Store(counter.raise(t, other))
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("the first change behind a lease took %v", took)
		}
	}
	close(over)
	all.Wait()
}

// Other nodes show a change as soon as the database has it, so the holder must not read
// without it, although the change is its own and not acknowledged yet.
func TestHolderOfTheLeaseShowsWhatOthersShow(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 2), register("counter")
	holder, other := i.nodes[0], i.nodes[1]
	holder.mustTakeLease(t)
	over := time.Now().Add(3 * time.Second)
	var all sync.WaitGroup
	all.Go(func() {
		for time.Now().Before(over) {
			counter.raise(t, holder)
		}
	})
	for time.Now().Before(over) {
		want := counter.read(t, other)
		if got := counter.read(t, holder); got < want {
			t.Errorf("the holder reads %d, and another node has read %d before", got, want)
			break
		}
	}
	all.Wait()
}

// A holder that has died has not given up the lease.
func TestLeaseOfADeadNodeIsOver(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 2), register("counter")
	i.nodes[0].mustTakeLease(t)
	if err := i.nodes[0].file.LeaveLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	counter.raise(t, i.nodes[1])
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("a change waits %v for a lease that was given up", took)
	}
	i.nodes[0].mustTakeLease(t)
	if err := i.nodes[0].Close(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	counter.raise(t, i.nodes[1])
	if took := time.Since(began); took < time.Second {
		t.Errorf("a change waits only %v for a node that could still read", took)
	}
	i.nodes[1].mustTakeLease(t)
	asked := i.nodes[1].asked()
	if counter.read(t, i.nodes[1]); asked.Load() > 0 {
		t.Error("the next holder asks the database")
	}
	third := i.join(t, "third")
	if counter.raise(t, third); counter.read(t, i.nodes[1]) != 3 {
		t.Error("the second holder does not see the change of a node that joined")
	}
}

// A database that has just gone away must not hold up a node that ends.
func TestLeavingTheLeaseNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	for name, goAway := range map[string]func(*pgtest.Proxy){
		"is silent":           func(p *pgtest.Proxy) { p.Stall(true) },
		"refuses connections": func(p *pgtest.Proxy) { p.Refuse(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, pgtest.Start(t).Address())
			i := install(t, newDatabase(t), 0)
			i.url = pgtest.Via(i.url, proxy.Address())
			n := i.join(t, "node")
			n.mustTakeLease(t)
			goAway(proxy)
			began := time.Now()
			if err := n.file.LeaveLease(t.Context()); err == nil {
				t.Error("the lease was left without the database")
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("leaving the lease took %v", took)
			}
		})
	}
}

// The holder can take the lease again while another node waits for the end of it.
func TestLeaseThatIsTakenAgainHasToEndAgain(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 2), register("counter")
	holder, other := i.nodes[0], i.nodes[1]
	holder.mustTakeLease(t)
	var all sync.WaitGroup
	all.Go(func() { counter.raise(t, other) })
	time.Sleep(500 * time.Millisecond)
	counter.read(t, holder)
	began := time.Now()
	holder.mustTakeLease(t)
	all.Wait()
	if took := time.Since(began); took < time.Second {
		t.Errorf("a change waits only %v for a node that has taken the lease again", took)
	}
}

// Changes that are flushed later are usually acknowledged while another change is flushed.
func TestNoChangeOvertakesTheEndOfALease(t *testing.T) {
	t.Parallel()
	i := install(t, newDatabase(t), 2)
	change := func() {
		err := i.nodes[1].file.UpdateReserved(t.Context(), func(tx *state.Tx) error {
			defer tx.FlushLater()
			b := tx.Bucket("test")
			return b.Put([]byte("key"), []byte("value"))
		})
		if err != nil {
			t.Error(err)
		}
	}
	change()
	i.nodes[0].mustTakeLease(t)
	began := time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			change()
			if took := time.Since(began); took < time.Second {
				t.Errorf("a change waits only %v for a node that could still read", took)
			}
		})
	}
	all.Wait()
}

// A late database calls meanwhile before it passes on an answer about the head.
type late struct {
	*postgres.DB
	meanwhile func()
}

func (l *late) Head(ctx context.Context) (state.Position, error) {
	at, err := l.DB.Head(ctx)
	l.meanwhile()
	return at, err
}

// A confirmation counts from its beginning, not from its end.
func TestLateAnswerConfirmsNothing(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 1), register("counter")
	db, err := postgres.Open(t.Context(), postgres.Options{URL: i.url})
	if err != nil {
		t.Fatal(err)
	}
	log := &late{db, func() {}}
	file, _, err := openCache(t.Context(), filepath.Join(i.caches, "late"), log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	holder, want := &node{file: file}, uint64(0)
	holder.mustTakeLease(t)
	log.meanwhile = sync.OnceFunc(func() { want = counter.raise(t, i.nodes[0]) })
	if err := file.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := counter.read(t, holder); got != want {
		t.Errorf("the holder reads %d after %d was acknowledged", got, want)
	}
}
