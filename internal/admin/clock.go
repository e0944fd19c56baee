package admin

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const confirmClock secret.Action = "clock confirm"

const (
	// maxJump is the largest difference between the clock and its expected time, the last
	// tidying plus the elapsed time, that is trusted. A larger one is a jump. A server
	// that was off for longer looks the same, which delays removal by a day.
	maxJump = 7 * 24 * time.Hour
	// confirmAfter is how long a server has to run after a jump until the clock is
	// trusted.
	confirmAfter = 24 * time.Hour
)

// ErrClock means that old data is not removed now, because the clock has jumped far
// ahead.
var ErrClock = errors.New("the clock has jumped far ahead, so nothing is removed by age: set it right, or confirm it with strongroom clock confirm")

const (
	tidyBucket = "tidy"
	tidyKey    = "time"
)

// A tidyTime is the stored time by which data is removed, with the state of a jump.
type tidyTime struct {
	// Time is trusted. Data that is old by it may be removed.
	Time time.Time `json:"time"`
	// Ahead is how far the clock is ahead of Time; 0 if the clock is trusted.
	Ahead time.Duration `json:"ahead,omitzero"`
	// Ran is how long a server has run with the clock ahead.
	Ran time.Duration `json:"ran,omitzero"`
}

// A tidyClock is the clock for removal by age. A wrong clock must not destroy data: after
// a jump ahead, tidyClock continues from the time before, until the jump has lasted for
// confirmAfter or an operator confirms it. It is safe for concurrent use.
type tidyClock struct {
	issued.Clock
	file *state.File

	mu    sync.Mutex // guards the fields below
	at    time.Duration
	now   tidyTime
	saved tidyTime
}

// openTidyClock reads the time of the last tidying. Without one it uses the time of the
// last audit entry.
func openTidyClock(clock issued.Clock, file *state.File, last func() time.Time) *tidyClock {
	c := &tidyClock{Clock: clock, file: file, at: clock.Elapsed()}
	_ = file.Hold(func() error {
		file.Watch(tidyBucket, c.follow)
		return file.View(func(tx *state.Tx) error { // other checks report a damaged file
			rows := tx.Bucket(tidyBucket)
			c.adopt(rows.Get([]byte(tidyKey)))
			return nil
		})
	})
	if c.now.Time.IsZero() {
		c.now.Time = last()
	}
	return c
}

// follow adopts the time that this process or another node has written.
func (c *tidyClock) follow(rows []state.Row) {
	for _, r := range rows {
		if string(r.Key) == tidyKey {
			c.adopt(r.Value)
		}
	}
}

// adopt takes over a stored time, which it ignores if it is not one.
func (c *tidyClock) adopt(text []byte) {
	var stored tidyTime
	if json.Unmarshal(text, &stored) != nil || stored.Time.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.now, c.saved = c.Elapsed(), stored, stored
}

// advance returns the time to tidy by, and how far the machine's clock is ahead of it if
// that clock is not trusted.
func (c *tidyClock) advance() tidyTime {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, wall := c.Elapsed(), c.Wall()
	elapsed := at - c.at
	c.at, c.now = at, c.now.after(elapsed, wall)
	return c.now
}

// after returns the time after elapsed, given the wall clock. A clock that was set back
// is always trusted: it makes less data old.
func (t tidyTime) after(elapsed time.Duration, wall time.Time) tidyTime {
	due := t.Time.Add(elapsed)
	ahead := wall.Sub(due)
	ran := t.Ran + elapsed
	switch {
	case ahead <= maxJump:
		return tidyTime{Time: wall}
	case t.Ahead == 0 || (ahead-t.Ahead).Abs() > maxJump: // the first jump, or another one
		return tidyTime{Time: due, Ahead: ahead}
	case ran >= confirmAfter:
		return tidyTime{Time: wall}
	}
	return tidyTime{Time: due, Ahead: t.Ahead, Ran: ran}
}

// confirm makes the machine's clock trusted.
func (c *tidyClock) confirm(ctx context.Context) error {
	c.mu.Lock()
	c.at, c.now = c.Elapsed(), tidyTime{Time: c.Wall()}
	c.mu.Unlock()
	return c.save(ctx)
}

// save writes the time, unless the stored one is close to it, so that restarts and
// commands need not write it each time.
func (c *tidyClock) save(ctx context.Context) error {
	c.mu.Lock()
	now, saved := c.now, c.saved
	c.mu.Unlock()
	if now.Ahead == saved.Ahead && now.Ran == saved.Ran && now.Time.Sub(saved.Time).Abs() < time.Hour/2 {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return c.file.Update(ctx, func(tx *state.Tx) error {
		rows := tx.Bucket(tidyBucket)
		return rows.Put([]byte(tidyKey), text)
	})
}

// ConfirmClock makes the clock trusted again after a jump ahead.
func (s *Service) ConfirmClock(ctx context.Context, caller secret.Caller) error {
	return s.record(ctx, caller, confirmClock, func() error { return s.clock.confirm(ctx) })
}

// ClockFindings returns the findings about the clock for removal by age.
func (s *Service) ClockFindings() []Finding {
	t := s.clock.advance()
	if t.Ahead == 0 {
		return nil
	}
	return []Finding{{
		About: "clock", OK: true, Warning: true,
		Text: "it has jumped ahead by " + t.Ahead.Round(time.Hour).String() + ": nothing is removed by age until the server has run for " +
			(confirmAfter - t.Ran).Round(time.Minute).String() + " more. If it is wrong, correct it; if it is right, run strongroom clock confirm",
	}}
}
