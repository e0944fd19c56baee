package nodes_test

import (
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// A busy node waits for its turn among the nodes. The more changes each turn has, the fewer
// turns there are.
func TestChangesThatComeBeforeANodesTurnShareACommit(t *testing.T) {
	t.Parallel()
	i, counter := install(t, newDatabase(t), 2), register("counter")
	n, other := i.nodes[0], i.nodes[1]
	counter.raise(t, other)
	counter.raise(t, n) // after a conflict, which makes the node lock the log
	before := n.file.Position().Seq
	if err := other.request(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := other.db.Lock(t.Context(), other.file.Position().Seq, func(state.SharedRecord) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { counter.raise(t, n) })
		time.Sleep(30 * time.Millisecond)
	}
	other.db.Unlock()
	all.Wait()
	if commits := n.file.Position().Seq - before; commits != 1 {
		t.Errorf("10 changes took %d commits, want 1", commits)
	}
	if got := counter.read(t, other); got != 12 {
		t.Errorf("the counter is %d, want 12", got)
	}
}
