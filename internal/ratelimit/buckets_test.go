package ratelimit_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/ratelimit"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestABucketHoldsItsBurstAndFillsUp(t *testing.T) {
	b := ratelimit.New[string](2, 3)
	for n := range 3 {
		if wait := b.Wait("a", start) + b.Take("a", start); wait != 0 {
			t.Fatalf("token %d takes %s", n, wait)
		}
	}
	for _, tc := range []struct{ after, wait time.Duration }{
		{0, 500 * time.Millisecond},
		{100 * time.Millisecond, 400 * time.Millisecond},
		{400 * time.Millisecond, 100 * time.Millisecond},
	} {
		now := start.Add(tc.after)
		if took, asked := b.Take("a", now), b.Wait("a", now); took.Round(time.Millisecond) != tc.wait || took != asked {
			t.Errorf("after %s: %s and %s, want %s", tc.after, took, asked, tc.wait)
		}
	}
	if wait := b.Wait("b", start) + b.Take("b", start); wait != 0 {
		t.Errorf("another's bucket takes %s", wait)
	}
	later := start.Add(time.Hour)
	for range 3 {
		if wait := b.Take("a", later); wait != 0 {
			t.Errorf("an hour later it takes %s", wait)
		}
	}
	if b.Take("a", later) == 0 {
		t.Error("an hour later it holds more than its burst")
	}
}

func TestNoBucketsNeverRunOut(t *testing.T) {
	var b *ratelimit.Buckets[string]
	for range 100 {
		if wait := b.Wait("a", start) + b.Take("a", start); wait != 0 {
			t.Fatalf("it takes %s", wait)
		}
	}
}

func TestTokensAreTakenOnce(t *testing.T) {
	b := ratelimit.New[int](1, 100)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if b.Take(1, start) == 0 {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 100 {
		t.Errorf("%d tokens were taken of 100", taken.Load())
	}
}

// An empty bucket stays empty while other keys come and go, unless more than
// Remembered of them are not full.
func TestMemoryIsBoundedAndFullBucketsGoFirst(t *testing.T) {
	b := ratelimit.New[int](1, 2)
	now := start
	for b.Take(-1, now) == 0 {
	}
	before := inUse()
	for n := range 4 * ratelimit.Remembered {
		b.Take(n, now)
		if n%(ratelimit.Remembered/2) == 0 {
			now = now.Add(2 * time.Second)
			for b.Take(-1, now) == 0 {
			}
		}
	}
	if b.Wait(-1, now) == 0 {
		t.Error("who was held back is not any more")
	}
	if grown := int64(inUse()) - int64(before); grown > ratelimit.Remembered*400 {
		t.Errorf("%d buckets take %d bytes", ratelimit.Remembered, grown)
	}
	for n := range 4 * ratelimit.Remembered { // at one moment, so that none is full
		b.Take(n, now)
	}
	if grown := int64(inUse()) - int64(before); grown > ratelimit.Remembered*400 {
		t.Errorf("%d buckets that are not full take %d bytes", ratelimit.Remembered, grown)
	}
	runtime.KeepAlive(b)
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkTake(b *testing.B) {
	buckets := ratelimit.New[[2]string](1e9, 1e9)
	key := [2]string{"alice", "k3x7q2mf"}
	b.ReportAllocs()
	for b.Loop() {
		buckets.Take(key, time.Now())
	}
}

func BenchmarkWaitOfAnUnknownKey(b *testing.B) {
	buckets := ratelimit.New[[2]string](1, 1)
	key := [2]string{"alice", "k3x7q2mf"}
	b.ReportAllocs()
	for b.Loop() {
		buckets.Wait(key, start)
	}
}
