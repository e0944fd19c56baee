// Package ratelimit bounds how often somebody does something: a token bucket
// for each, of which no more are remembered than fit into a bounded memory.
package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Remembered is how many buckets are remembered at most. One takes about 200
// bytes.
const Remembered = 1 << 15

// Buckets are token buckets by key. Each holds a number of tokens at first and
// at most, and gains some every second. They are safe for concurrent use; none
// at all (nil) never runs out.
//
// A bucket that is full again is forgotten, for it is as good as a new one.
// When more than Remembered are not, some are forgotten that are not full.
type Buckets[K comparable] struct {
	perSecond rate.Limit
	burst     int

	some  atomic.Bool // whether there is one
	mu    sync.RWMutex
	byKey map[K]*rate.Limiter
}

// New returns buckets that hold burst tokens.
func New[K comparable](perSecond float64, burst int) *Buckets[K] {
	return &Buckets[K]{perSecond: rate.Limit(perSecond), burst: burst, byKey: map[K]*rate.Limiter{}}
}

// Take takes a token out of a bucket. If there is none it says how long until
// there is one.
func (b *Buckets[K]) Take(key K, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	bucket := b.find(key)
	if bucket == nil {
		bucket = b.add(key, now)
	}
	if bucket.AllowN(now, 1) {
		return 0
	}
	return b.until(bucket, now)
}

// Empty reports whether nobody has taken a token yet.
func (b *Buckets[K]) Empty() bool { return b == nil || !b.some.Load() }

// Wait says how long until there is a token in the bucket, and takes none.
func (b *Buckets[K]) Wait(key K, now time.Time) time.Duration {
	if b.Empty() {
		return 0
	}
	bucket := b.find(key)
	if bucket == nil {
		return 0
	}
	return b.until(bucket, now)
}

func (b *Buckets[K]) until(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	return max(0, time.Duration(missing/float64(b.perSecond)*float64(time.Second)))
}

func (b *Buckets[K]) find(key K) *rate.Limiter {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byKey[key]
}

func (b *Buckets[K]) add(key K, now time.Time) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bucket, ok := b.byKey[key]; ok {
		return bucket
	}
	if len(b.byKey) >= Remembered {
		b.forgetLocked(now)
	}
	bucket := rate.NewLimiter(b.perSecond, b.burst)
	b.byKey[key] = bucket
	b.some.Store(true)
	return bucket
}

// forgetLocked forgets at least half, so that it need not be done again soon:
// those that are full, and else any.
func (b *Buckets[K]) forgetLocked(now time.Time) {
	for key, bucket := range b.byKey {
		if bucket.TokensAt(now) >= float64(b.burst) {
			delete(b.byKey, key)
		}
	}
	for key := range b.byKey {
		if len(b.byKey) <= Remembered/2 {
			return
		}
		delete(b.byKey, key)
	}
}
