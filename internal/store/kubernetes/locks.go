package kubernetes

import (
	"context"
	"hash/maphash"
	"math"

	"golang.org/x/sync/semaphore"

	"github.com/strongroom/strongroom/internal/secret"
)

// ownerLocks exclude other writes of an owner during a rename, within this process.
// Between processes the API server detects the conflict. Owners with colliding hashes
// share a lock.
type ownerLocks struct {
	seed  maphash.Seed
	locks []*semaphore.Weighted // not an RWMutex, which cannot stop waiting at a deadline
}

func newOwnerLocks() ownerLocks {
	l := ownerLocks{seed: maphash.MakeSeed()}
	for range 64 {
		l.locks = append(l.locks, semaphore.NewWeighted(math.MaxInt64))
	}
	return l
}

// shared waits until the owner has no rename in progress, and prevents one until
// unlock is called.
func (l ownerLocks) shared(ctx context.Context, owner secret.Owner) (unlock func(), err error) {
	return l.acquire(ctx, owner, 1)
}

// exclusive waits until the owner has no write in progress, and prevents all
// until unlock is called.
func (l ownerLocks) exclusive(ctx context.Context, owner secret.Owner) (unlock func(), err error) {
	return l.acquire(ctx, owner, math.MaxInt64)
}

func (l ownerLocks) acquire(ctx context.Context, owner secret.Owner, n int64) (unlock func(), err error) {
	lock := l.locks[maphash.String(l.seed, owner.String())%uint64(len(l.locks))]
	if err := lock.Acquire(ctx, n); err != nil {
		return nil, done(ctx)
	}
	return func() { lock.Release(n) }, nil
}

// done returns the reason why ctx ended: an ErrUnavailable for this store's own timeout.
func done(ctx context.Context) error { return context.Cause(ctx) }
