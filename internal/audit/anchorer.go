package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
)

const anchorEvery = time.Second

// An Anchorer keeps an anchor of the log outside of the state file, at most a second old.
// Close it after the log, so that it anchors the last entries, and before the state file.
type Anchorer struct {
	log     *Log
	write   func(line string) error
	logger  *slog.Logger
	routine *routine
	pending *anchorWrite // the write in progress, or nil; used only by anchor

	mu   sync.Mutex // guards the fields below; never held while writing or logging
	last Anchor     // the last anchor written, zero before the first
	err  error      // why the latest write failed, or nil
}

// anchorWithin limits the wait for one write. A pipe that is not read, or a network file
// system that is down, can block a write for ever.
const anchorWithin = time.Second

var errAnchorStalled = fmt.Errorf("the anchor was not written within %s: standard output is not read, or the disk does not answer", anchorWithin)

// An anchorWrite is the write of one anchor. It can last longer than anchorWithin.
type anchorWrite struct {
	anchor Anchor
	done   chan error
}

// AnchorToFile keeps the anchor in a file, which is replaced atomically. It first checks
// the anchor in the file, with the errors of [Log.CheckAnchor], so that a log that was
// rolled back never overwrites the proof. If the file does not exist, it is created and a
// warning is logged.
//
// The file protects against a rollback only if an attacker who can write the state file
// cannot write this file too. Put it on a mounted disk of another machine, or copy it
// away.
func AnchorToFile(l *Log, path string, logger *slog.Logger) (*Anchorer, error) {
	text, err := safefile.Read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		logger.Warn("no audit anchor yet: creating one", "file", path)
	case err != nil:
		return nil, fmt.Errorf("reading the audit anchor: %w", err)
	default:
		if err := l.CheckAnchor(string(text)); err != nil {
			return nil, fmt.Errorf("audit anchor %s: %w", path, err)
		}
	}
	a := startAnchorer(l, func(line string) error { return safefile.Replace(path, 0o644, []byte(line)) }, logger)
	if err := a.Err(); err != nil {
		_ = a.Close() // tries once more and may succeed
		return nil, fmt.Errorf("writing the audit anchor: %w", err)
	}
	return a, nil
}

// AnchorTo writes each anchor as a line to w, usually standard output for a log
// collector. Check the last line by hand.
func AnchorTo(l *Log, w io.Writer, logger *slog.Logger) *Anchorer {
	return startAnchorer(l, func(line string) error {
		_, err := io.WriteString(w, line)
		return err
	}, logger)
}

func startAnchorer(l *Log, write func(string) error, logger *slog.Logger) *Anchorer {
	a := &Anchorer{log: l, write: write, logger: logger}
	a.anchor() // at once, so that a failure shows at the start
	a.routine = every(anchorEvery, a.anchor)
	return a
}

// anchor writes an anchor of the head, unless the last anchor has it already.
func (a *Anchorer) anchor() {
	next, err := a.log.Anchor()
	if err == nil && a.holds(next) {
		return
	}
	if err == nil {
		err = a.writeInTime(next)
	}
	if a.settle(next, err) {
		a.logger.Error("the audit log cannot be anchored", "error", err)
	}
}

func (a *Anchorer) holds(next Anchor) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err == nil && next.link() == a.last.link() && next.State == a.last.State && a.last != (Anchor{})
}

// settle stores the outcome. It reports whether this is the first of consecutive
// failures, which is logged once and not every second.
func (a *Anchorer) settle(next Anchor, err error) (failing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	failing = err != nil && a.err == nil
	if a.err = err; err == nil {
		a.last = next
	}
	return failing
}

// writeInTime waits at most anchorWithin. A slower write stays pending, and the next one
// starts only after it ends, so lines keep their order.
func (a *Anchorer) writeInTime(next Anchor) error {
	timeout := time.NewTimer(anchorWithin)
	defer timeout.Stop()
	for {
		if a.pending == nil {
			a.pending = a.begin(next)
		}
		select {
		case err := <-a.pending.done:
			written := a.pending.anchor
			a.pending = nil
			if err != nil || written == next {
				return err
			}
		case <-timeout.C:
			return errAnchorStalled
		}
	}
}

func (a *Anchorer) begin(next Anchor) *anchorWrite {
	w := &anchorWrite{next, make(chan error, 1)}
	go func() { w.done <- a.write(next.String() + "\n") }()
	return w
}

// Err returns why the log cannot be anchored at present, or nil.
func (a *Anchorer) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Last returns the last anchor written; it is zero before the first.
func (a *Anchorer) Last() Anchor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// Close writes a last anchor and waits at most anchorWithin for it.
func (a *Anchorer) Close() error {
	a.routine.end()
	return a.Err()
}
