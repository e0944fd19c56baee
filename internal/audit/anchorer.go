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

// An Anchorer keeps an anchor of the log outside of the state file, at most a
// second old. Close it after the log, whose last entries it is to see, and
// before the state file.
type Anchorer struct {
	log     *Log
	write   func(line string) error
	logger  *slog.Logger
	routine *routine
	pending *anchorWrite // the write under way, if any; only anchor uses it

	mu   sync.Mutex // guards what follows; never held while writing or logging
	last Anchor     // the last one that was written, zero before the first
	err  error      // why the one after it was not
}

// anchorWithin bounds how long the anchorer waits for one write. A pipe that
// nothing reads, or a network file system that is down, can block it for ever.
const anchorWithin = time.Second

var errAnchorStalled = fmt.Errorf("the anchor was not written within %s: standard output is not read, or the disk does not answer", anchorWithin)

// An anchorWrite is the write of one anchor, which can outlast anchorWithin.
type anchorWrite struct {
	anchor Anchor
	done   chan error
}

// AnchorToFile keeps the anchor in a file, which is replaced as a whole. What
// is there already is checked first, with the errors of [Log.CheckAnchor]: a
// log that was rolled back never overwrites the proof. Without a file it
// begins one and says so.
//
// The file is worth something as far as whoever can write the state file
// cannot write it: another machine's disk, mounted here, or a copy taken.
func AnchorToFile(l *Log, path string, logger *slog.Logger) (*Anchorer, error) {
	text, err := safefile.Read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		logger.Warn("there is no audit anchor yet: beginning one", "file", path)
	case err != nil:
		return nil, fmt.Errorf("reading the audit anchor: %w", err)
	default:
		if err := l.CheckAnchor(string(text)); err != nil {
			return nil, fmt.Errorf("audit anchor %s: %w", path, err)
		}
	}
	a := startAnchorer(l, func(line string) error { return safefile.Replace(path, 0o644, []byte(line)) }, logger)
	if err := a.Err(); err != nil {
		_ = a.Close() // which tries once more, and may succeed
		return nil, fmt.Errorf("writing the audit anchor: %w", err)
	}
	return a, nil
}

// AnchorTo writes the anchors one after the other, a line each: to standard
// output, which somebody else collects. Check the last one by hand.
func AnchorTo(l *Log, w io.Writer, logger *slog.Logger) *Anchorer {
	return startAnchorer(l, func(line string) error {
		_, err := io.WriteString(w, line)
		return err
	}, logger)
}

func startAnchorer(l *Log, write func(string) error, logger *slog.Logger) *Anchorer {
	a := &Anchorer{log: l, write: write, logger: logger}
	a.anchor() // at once, so that it is known at the start whether it works
	a.routine = every(anchorEvery, a.anchor)
	return a
}

// anchor writes the head of the log, unless the last anchor holds it already.
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
	return a.err == nil && next.link() == a.last.link() && a.last != (Anchor{})
}

// settle keeps the outcome and reports whether it is the first failure in a
// row: that is logged once, not every second.
func (a *Anchorer) settle(next Anchor, err error) (failing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	failing = err != nil && a.err == nil
	if a.err = err; err == nil {
		a.last = next
	}
	return failing
}

// writeInTime waits at most anchorWithin. A write that takes longer stays
// pending, and no other one begins before it ends, so lines keep their order.
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

// Err returns why the log cannot be anchored at the moment, if it cannot.
func (a *Anchorer) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close anchors the log as it is now, for the last time, and waits for that as
// long as for any other anchor.
func (a *Anchorer) Close() error {
	a.routine.end()
	return a.Err()
}
