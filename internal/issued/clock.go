package issued

import (
	"sync/atomic"
	"time"
)

// A Clock is the machine's.
type Clock struct {
	// Wall is the time of day, which can be set.
	Wall func() time.Time
	// Elapsed is how long it has been since some moment, whatever the time of
	// day is set to meanwhile.
	Elapsed func() time.Duration
}

// SystemClock returns the clock of this machine.
func SystemClock() Clock {
	start := time.Now()
	return Clock{Wall: time.Now, Elapsed: func() time.Duration { return time.Since(start) }}
}

// A steady clock never goes back, nor slower than time elapses: where the wall
// clock is set back, it goes on from the latest that was seen. So what has
// ended stays so, and nothing lasts longer than it was to. Where the wall clock
// is set ahead, it follows, for that may be the truth.
type steadyClock struct {
	Clock
	// The latest time seen, less what had elapsed then, as Unix nanoseconds.
	start atomic.Int64
}

// setAhead has the clock know of a time that was seen before.
func (c *steadyClock) setAhead(seen time.Time) { c.raise(seen.UnixNano() - int64(c.Elapsed())) }

func (c *steadyClock) now() time.Time {
	elapsed := int64(c.Elapsed())
	return time.Unix(0, c.raise(c.Wall().UnixNano()-elapsed)+elapsed).UTC()
}

func (c *steadyClock) raise(start int64) int64 {
	for {
		old := c.start.Load()
		if start <= old {
			return old
		}
		if c.start.CompareAndSwap(old, start) {
			return start
		}
	}
}
