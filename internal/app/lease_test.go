package app

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// runInBackground runs the node until stop is called, also by the end of the test.
func (n *node) runInBackground(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

// asks reports whether one of ten reads in a second asks the database. The node asks by
// itself, too, but only once a second.
func (n *node) asks(t *testing.T) bool {
	var asked atomic.Int64
	n.ObserveHead(func(time.Duration) { asked.Add(1) })
	for range 10 {
		if err := n.fresh(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return asked.Load() >= 10
}

func TestOnlyANodeThatIsAloneReadsWithoutAsking(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), pgtest.Start(t).NewDatabase(t)
	one, two := mustJoin(t, dir, url, 0), mustJoin(t, dir, url, 0)
	stopOne, stopTwo := one.runInBackground(t), two.runInBackground(t)
	time.Sleep(state.AloneFor + 2*time.Second)
	if !one.asks(t) || !two.asks(t) {
		t.Error("a node does not ask the database, although there is another one")
	}
	if stopTwo(); !one.asks(t) {
		t.Error("a node does not ask the database as soon as another one has ended")
	}
	for began := time.Now(); one.asks(t); {
		if time.Since(began) > time.Minute {
			t.Fatal("a node that is alone asks the database")
		}
	}
	stopOne()
	began := time.Now()
	err := two.file.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		return b.Put([]byte("key"), []byte("value"))
	})
	if took := time.Since(began); err != nil || took > 900*time.Millisecond {
		t.Errorf("after a node has ended, a change on another one took %v: %v", took, err)
	}
}

// After an outage, no node has reported to the others for a while.
func TestNodesAreNotAloneAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	proxy := pgtest.NewProxy(t, server.Address())
	dir, url := t.TempDir(), pgtest.Via(server.NewDatabase(t), proxy.Address())
	nodes := []*node{mustJoin(t, dir, url, 0), mustJoin(t, dir, url, 0)}
	for _, n := range nodes {
		n.runInBackground(t)
	}
	time.Sleep(state.AloneFor)
	before := nodes[0].file.Position().Seq
	proxy.Refuse(true)
	time.Sleep(state.AloneFor + time.Second)
	proxy.Refuse(false)
	time.Sleep(state.AloneFor)
	for _, n := range nodes {
		if err := n.fresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if after := nodes[0].file.Position().Seq; after != before {
		t.Errorf("the nodes made %d changes, so one has taken the lease", after-before)
	}
}
