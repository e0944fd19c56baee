package postgres

import (
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// counts has numbers for metrics. Requests wait while they change, so a change is an atomic
// operation or two.
type counts struct {
	head     atomic.Uint64 // number of the last change in the last answer
	answered atomic.Int64  // time of the last answer, in milliseconds since 1970; 0 for none
	repeated atomic.Uint64 // appends
	observe  atomic.Pointer[func(time.Duration)]
}

// Counts describe the database as this node has found it. Reading them asks nothing.
type Counts struct {
	Head     uint64    // number of the last change when the database answered last
	Answered time.Time // when the database answered last a query of the head; zero for never
	Repeated uint64    // appends that were repeated because their outcome was unknown
}

// Counts returns the numbers of this moment.
func (d *DB) Counts() Counts {
	c := Counts{Head: d.counts.head.Load(), Repeated: d.counts.repeated.Load()}
	if at := d.counts.answered.Load(); at != 0 {
		c.Answered = time.UnixMilli(at)
	}
	return c
}

// ObserveHead sets the function that is called after each query of the head that the database
// has answered, with the time that it took. It must be fast, because requests wait for it.
func (d *DB) ObserveHead(fn func(took time.Duration)) { d.counts.observe.Store(&fn) }

// queried notes the outcome of a query of the head.
func (c *counts) queried(began time.Time, at *state.Position, failed *error) {
	if *failed != nil {
		return
	}
	now := time.Now()
	c.head.Store(at.Seq)
	c.answered.Store(now.UnixMilli())
	if observe := c.observe.Load(); observe != nil {
		(*observe)(now.Sub(began))
	}
}
