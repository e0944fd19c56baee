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
	// maxJump is how far the clock may be ahead of the last tidying, plus the
	// time that has elapsed since, and be believed at once. A server that was
	// off for longer waits like one whose clock is wrong: that costs a day.
	maxJump = 7 * 24 * time.Hour
	// confirmAfter is how long a server has to run with a jump until it is
	// believed.
	confirmAfter = 24 * time.Hour
)

// ErrClock means that old data is not removed now, because the clock is far
// ahead of where it was.
var ErrClock = errors.New("the clock has jumped far ahead, so nothing is removed by age: set it right, or confirm it with strongroom clock confirm")

const (
	tidyBucket = "tidy"
	tidyKey    = "time"
)

// A tidyTime is what the state file knows about the time that tidying goes by.
type tidyTime struct {
	// Time is believed. What is old by it may be removed.
	Time time.Time `json:"time"`
	// Ahead is how far the clock is ahead of that; 0 if it is believed.
	Ahead time.Duration `json:"ahead,omitzero"`
	// Ran is how long a server has run with the clock that far ahead.
	Ran time.Duration `json:"ran,omitzero"`
}

// A tidyClock is the clock for whatever removes data by age. A wrong clock must
// not destroy what is kept: after a jump ahead it goes on from the time before,
// until the jump has lasted for confirmAfter or an operator confirms it. It is
// safe for concurrent use.
type tidyClock struct {
	issued.Clock
	file *state.File

	mu    sync.Mutex // guards what follows
	at    time.Duration
	now   tidyTime
	saved tidyTime
}

// openTidyClock reads the time of the last tidying. A file without one takes
// that of the last audit entry.
func openTidyClock(clock issued.Clock, file *state.File, last func() time.Time) *tidyClock {
	c := &tidyClock{Clock: clock, file: file, at: clock.Elapsed()}
	_ = file.View(func(tx *state.Tx) error { // a damaged file shows up elsewhere
		rows := tx.Bucket(tidyBucket)
		if json.Unmarshal(rows.Get([]byte(tidyKey)), &c.now) != nil || c.now.Time.IsZero() {
			c.now = tidyTime{}
		}
		return nil
	})
	if c.saved = c.now; c.now.Time.IsZero() {
		c.now.Time = last()
	}
	return c
}

// advance returns the time to tidy by, and how far the machine's clock is ahead
// of it if that is not believed.
func (c *tidyClock) advance() tidyTime {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, wall := c.Elapsed(), c.Wall()
	elapsed := at - c.at
	c.at, c.now = at, c.now.after(elapsed, wall)
	return c.now
}

// after returns the time after so much has elapsed, by a clock that now shows
// wall. A clock that was set back is always believed: by it less is old.
func (t tidyTime) after(elapsed time.Duration, wall time.Time) tidyTime {
	due := t.Time.Add(elapsed)
	ahead := wall.Sub(due)
	ran := t.Ran + elapsed
	switch {
	case ahead <= maxJump:
		return tidyTime{Time: wall}
	case t.Ahead == 0 || (ahead-t.Ahead).Abs() > maxJump: // it has just jumped, or again
		return tidyTime{Time: due, Ahead: ahead}
	case ran >= confirmAfter:
		return tidyTime{Time: wall}
	}
	return tidyTime{Time: due, Ahead: t.Ahead, Ran: ran}
}

// confirm believes the machine's clock.
func (c *tidyClock) confirm(ctx context.Context) error {
	c.mu.Lock()
	c.at, c.now = c.Elapsed(), tidyTime{Time: c.Wall()}
	c.mu.Unlock()
	return c.save(ctx)
}

// save writes the time, unless the file knows about as much: restarted servers
// and commands need not write it each time.
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
	err = c.file.Update(ctx, func(tx *state.Tx) error {
		rows := tx.Bucket(tidyBucket)
		return rows.Put([]byte(tidyKey), text)
	})
	if err == nil {
		c.mu.Lock()
		c.saved = now
		c.mu.Unlock()
	}
	return err
}

// ConfirmClock has data removed by age go by the machine's clock again, though
// it has jumped ahead.
func (s *Service) ConfirmClock(ctx context.Context, caller secret.Caller) error {
	return s.record(ctx, caller, confirmClock, func() error { return s.clock.confirm(ctx) })
}

// ClockFindings are about the clock that data is removed by.
func (s *Service) ClockFindings() []Finding {
	t := s.clock.advance()
	if t.Ahead == 0 {
		return nil
	}
	return []Finding{{
		About: "clock", OK: true, Warning: true,
		Text: "it is " + t.Ahead.Round(time.Hour).String() + " ahead of where it was: nothing is removed by age until the server has run for " +
			(confirmAfter - t.Ran).Round(time.Minute).String() + " more. If it is wrong, set it right; if it is right, run strongroom clock confirm",
	}}
}
