// Package ratelimit limits rates with one token bucket per key, in bounded
// memory.
package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Remembered is the maximum number of buckets. One takes about 200 bytes.
const Remembered = 1 << 15

// Buckets are token buckets by key. Each starts full and refills at a constant
// rate. They are safe for concurrent use; a nil Buckets never runs out.
//
// A bucket that is full again is evicted, because it equals a new one. When more
// than Remembered buckets are not full, some of those are evicted too.
type Buckets[K comparable] struct {
	perSecond rate.Limit
	burst     int

	some  atomic.Bool // whether there is a bucket
	mu    sync.RWMutex
	byKey map[K]*rate.Limiter
}

// New returns buckets that hold burst tokens.
func New[K comparable](perSecond float64, burst int) *Buckets[K] {
	return &Buckets[K]{perSecond: rate.Limit(perSecond), burst: burst, byKey: map[K]*rate.Limiter{}}
}

// Take takes a token from the bucket of the key. Without one it returns the time
// until the next.
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

// Empty reports whether no token was ever taken.
func (b *Buckets[K]) Empty() bool { return b == nil || !b.some.Load() }

// Wait returns the time until the bucket of the key has a token, and takes none.
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
		b.evictLocked(now)
	}
	bucket := rate.NewLimiter(b.perSecond, b.burst)
	b.byKey[key] = bucket
	b.some.Store(true)
	return bucket
}

// evictLocked evicts full buckets, and others until at least half are gone, so that the
// next eviction is far away.
func (b *Buckets[K]) evictLocked(now time.Time) {
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
