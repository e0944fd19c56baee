package kubernetes

import (
	"context"
	"hash/maphash"
	"math"

	"golang.org/x/sync/semaphore"

	"github.com/strongroom/strongroom/internal/secret"
)

// turns keeps renames apart from other writes of the same owner, within this
// process; across processes it is the API server that notices. Some owners
// share a turn.
type turns struct {
	seed  maphash.Seed
	turns []*semaphore.Weighted // not a RWMutex, which waits past a deadline
}

func newTurns() turns {
	t := turns{seed: maphash.MakeSeed()}
	for range 64 {
		t.turns = append(t.turns, semaphore.NewWeighted(math.MaxInt64))
	}
	return t
}

// share waits until no rename of the owner's is under way, and keeps it so
// until leave is called.
func (t turns) share(ctx context.Context, owner secret.Owner) (leave func(), err error) {
	return t.take(ctx, owner, 1)
}

// alone waits until no write of the owner's is under way.
func (t turns) alone(ctx context.Context, owner secret.Owner) (leave func(), err error) {
	return t.take(ctx, owner, math.MaxInt64)
}

func (t turns) take(ctx context.Context, owner secret.Owner, n int64) (leave func(), err error) {
	turn := t.turns[maphash.String(t.seed, owner.String())%uint64(len(t.turns))]
	if err := turn.Acquire(ctx, n); err != nil {
		return nil, done(ctx)
	}
	return func() { turn.Release(n) }, nil
}

// done is why a context is: our own timeout is the cluster's being away.
func done(ctx context.Context) error { return context.Cause(ctx) }
