// Package stream sends the entries of the audit log to a collector outside: a file, a
// syslog server or an HTTP server.
//
// Each entry arrives at least once, and the entries arrive in order. After a fault some
// are sent again, in order from an earlier one; their number tells. The position is stored
// in the state file at most once a second and at the end, so a restart continues there.
// No request waits for a collector. Start reading at [Stream].
package stream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
)

const (
	pollEvery  = 250 * time.Millisecond
	saveEvery  = time.Second
	retryFirst = 500 * time.Millisecond // after a failure, doubled up to retryMost
	retryMost  = 30 * time.Second
	// sendWithin limits one attempt to deliver a batch.
	sendWithin = 30 * time.Second
	// closeWithin limits the last attempt when the server stops.
	closeWithin = 2 * time.Second

	// Limits of a batch. A coalesced entry can have hundreds of names.
	maxEntries = 256
	maxNames   = 4096
)

// A Log is the part of the audit log that a Stream needs.
type Log interface {
	// Read returns at most limit entries behind seq. With an error it returns the entries
	// before the one that it could not read.
	Read(seq uint64, limit int) ([]audit.Entry, error)
	Position(destination string) (audit.Position, error)
	SetPosition(ctx context.Context, destination string, p audit.Position) error
}

var _ Log = (*audit.Log)(nil)

// A Sink delivers entries to one destination. Only one goroutine uses it.
type Sink interface {
	// Send returns nil once the destination has the entries. With a [*LostError] entries
	// of earlier calls may be lost too.
	Send(ctx context.Context, entries []audit.Entry) error
	Close() error
}

// A Destination identifies where entries go.
type Destination struct {
	// ID finds the position in the state file, which has only its hash.
	ID string
	// Name is for people and has no credential.
	Name string
}

// A LostError means that a connection without acknowledgements broke. Entries that were
// sent on it may not have been processed.
type LostError struct {
	At  time.Time // when it broke
	Err error
}

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *LostError) Unwrap() error { return e.Err }

// A Stream sends the entries of a log to a sink in the background. It is safe for
// concurrent use. Close it after the log and before the state file.
type Stream struct {
	log    Log
	to     Destination
	sink   Sink
	logger *slog.Logger
	stop   context.CancelFunc
	done   chan struct{}

	// Only the goroutine uses these.
	saved     audit.Position
	savedAt   time.Time
	retry     time.Duration
	confirmed window

	mu     sync.Mutex // guards the fields below; never held while sending
	at     audit.Position
	status Status
}

// Status describes a stream.
type Status struct {
	// Destination is a file, or a host.
	Destination string
	// Delivered is the number of the last delivered entry.
	Delivered uint64
	// Sent counts delivered entries since the start. An entry that was sent again counts
	// again.
	Sent uint64
	// Failures counts failed attempts since the start.
	Failures uint64
	// Problem is why the latest attempt failed, or nil.
	Problem error
}

// Start sends the entries after the stored position of the destination, and then newer
// ones as they come. The stream closes the sink.
func Start(log Log, to Destination, sink Sink, logger *slog.Logger) (*Stream, error) {
	at, err := log.Position(to.ID)
	if errors.Is(err, audit.ErrPosition) {
		logger.Warn("all audit entries are streamed again", "destination", to.Name, "reason", err)
	} else if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Stream{
		log: log, to: to, sink: sink, logger: logger, stop: stop, done: make(chan struct{}),
		saved: at, at: at, retry: retryFirst, status: Status{Destination: to.Name, Delivered: at.Seq},
	}
	go s.run(ctx)
	return s, nil
}

// Close tries for two seconds to send the remaining entries, and stores the position.
func (s *Stream) Close() error {
	s.stop()
	select {
	case <-s.done:
	case <-time.After(closeWithin + time.Second): // the sink is stuck, as a file on a dead network disk
	}
	return nil
}

// Status returns the state of the stream.
func (s *Stream) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Oldest returns the time of the oldest entry that waits for delivery, zero if none does.
func (s *Stream) Oldest() time.Time {
	waiting, _ := s.log.Read(s.Status().Delivered, 1)
	if len(waiting) == 0 {
		return time.Time{}
	}
	return waiting[0].Event.Time
}

func (s *Stream) run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		wait := pollEvery
		more, err := s.step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			wait = s.failed(err)
		case more:
			wait = 0
		}
		s.save(ctx, saveEvery)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	s.finish()
}

// finish sends what the log has got since, unless the destination does not answer.
func (s *Stream) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	for more := true; more; {
		var err error
		if more, err = s.step(ctx); err != nil {
			break
		}
	}
	s.save(context.Background(), 0)
	if err := s.sink.Close(); err != nil {
		s.logger.Error("closing the stream of audit entries", "destination", s.to.Name, "error", err)
	}
}

// step delivers a batch. It reports whether there may be more.
func (s *Stream) step(ctx context.Context) (more bool, err error) {
	entries, err := s.log.Read(s.at.Seq, maxEntries)
	if len(entries) == 0 {
		return s.skip(err)
	}
	entries = bounded(entries)
	within, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	if err := s.sink.Send(within, entries); err != nil {
		if lost, ok := errors.AsType[*LostError](err); ok {
			s.rewind(lost.At)
		}
		return false, err
	}
	s.confirmed.add(time.Now(), s.at, entries)
	s.delivered(entries)
	return true, nil
}

// bounded returns the first entries, with no more than maxNames or only one.
func bounded(entries []audit.Entry) []audit.Entry {
	names := 0
	for i, e := range entries {
		if names += len(e.Names); names > maxNames && i > 0 {
			return entries[:i]
		}
	}
	return entries
}

// skip passes over an entry that was changed or damaged, because otherwise it would end
// the stream. The numbers at the collector have a gap there.
func (s *Stream) skip(err error) (more bool, _ error) {
	damaged, ok := errors.AsType[*audit.Break](err)
	if !ok || damaged.Seq <= s.at.Seq {
		return false, err
	}
	s.logger.Error("an audit entry cannot be streamed", "entry", damaged.Seq, "error", err)
	s.move(audit.Position{Seq: damaged.Seq})
	return true, nil
}

func (s *Stream) move(to audit.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.status.Delivered = to, to.Seq
}

func (s *Stream) delivered(entries []audit.Entry) {
	s.move(entries[len(entries)-1].Position())
	s.retry = retryFirst
	s.mu.Lock()
	recovered := s.status.Problem != nil
	s.status.Problem = nil
	s.status.Sent += uint64(len(entries))
	s.mu.Unlock()
	if recovered {
		s.logger.Info("audit entries are streamed again", "destination", s.to.Name, "delivered", s.at.Seq)
	}
}

// failed returns the time to wait. It logs the first of consecutive failures.
func (s *Stream) failed(err error) (wait time.Duration) {
	s.mu.Lock()
	first := s.status.Problem == nil
	s.status.Problem = err
	s.status.Failures++
	s.mu.Unlock()
	if first {
		s.logger.Error("audit entries cannot be streamed", "destination", s.to.Name, "delivered", s.at.Seq, "error", err)
	}
	wait = s.retry/2 + rand.N(s.retry) // #nosec G404 -- spreads the attempts of several servers
	s.retry = min(2*s.retry, retryMost)
	return wait
}

// rewind goes back to before the entries that may be lost with a connection.
func (s *Stream) rewind(lost time.Time) {
	if to, ok := s.confirmed.before(lost); ok {
		s.move(to)
	}
}

// save stores the position if the last time is long enough ago. If it cannot be stored,
// as on a full disk, entries are sent again after a restart.
func (s *Stream) save(ctx context.Context, after time.Duration) {
	// A skipped entry has no known MAC: the position after the next one is stored.
	if s.at == s.saved || s.at.MAC == (audit.MAC{}) || time.Since(s.savedAt) < after {
		return
	}
	s.savedAt = time.Now()
	if s.log.SetPosition(ctx, s.to.ID, s.at) == nil {
		s.saved = s.at
	}
}
