package issued

import (
	"sync/atomic"
	"time"
)

// A Clock reads the machine's clocks.
type Clock struct {
	// Wall returns the time of day, which can be set.
	Wall func() time.Time
	// Elapsed returns the time since some fixed moment. Setting the time of day does not
	// change it.
	Elapsed func() time.Duration
}

// SystemClock returns the clock of this machine.
func SystemClock() Clock {
	start := time.Now()
	return Clock{Wall: time.Now, Elapsed: func() time.Duration { return time.Since(start) }}
}

// A steadyClock never goes back and never runs slower than elapsed time. If the wall
// clock is set back, it continues from the latest time seen, so expired keys stay expired
// and no key lives longer. If the wall clock is set ahead, it follows, because that may
// be correct.
type steadyClock struct {
	Clock
	// start is the latest time seen minus the elapsed time at that moment, in Unix
	// nanoseconds.
	start atomic.Int64
}

// setAhead raises the clock to a time that an earlier process has seen.
func (c *steadyClock) setAhead(seen time.Time) { c.raise(seen.UnixNano() - int64(c.Elapsed())) }

// now reads the wall clock first: if the process is paused between the two readings, the other
// order would add the pause for good.
func (c *steadyClock) now() time.Time {
	wall := c.Wall().UnixNano()
	elapsed := int64(c.Elapsed())
	return time.Unix(0, c.raise(wall-elapsed)+elapsed).UTC()
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
