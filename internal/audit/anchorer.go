package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
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

	mu   sync.Mutex // guards what follows
	last Anchor     // the last one that was written, zero before the first
	err  error      // why the one after it was not
}

// AnchorToFile keeps the anchor in a file, which is replaced as a whole. What
// is there already is checked first, with the errors of [Log.CheckAnchor]: a
// log that was rolled back never overwrites the proof. Without a file it
// begins one and says so.
//
// The file is worth something as far as whoever can write the state file
// cannot write it: another machine's disk, mounted here, or a copy taken.
func AnchorToFile(l *Log, path string, logger *slog.Logger) (*Anchorer, error) {
	text, err := os.ReadFile(path)
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
	a := startAnchorer(l, func(line string) error { return replaceFile(path, line) }, logger)
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

func (a *Anchorer) anchor() {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.log.Anchor()
	if err == nil {
		if a.err == nil && next.link() == a.last.link() && a.last != (Anchor{}) {
			return
		}
		err = a.write(next.String() + "\n")
	}
	if err != nil && a.err == nil { // once, not every second
		a.logger.Error("the audit log cannot be anchored", "error", err)
	}
	if a.err = err; err == nil {
		a.last = next
	}
}

// Err returns why the log cannot be anchored at the moment, if it cannot.
func (a *Anchorer) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close anchors the log as it is now, for the last time.
func (a *Anchorer) Close() error {
	a.routine.end()
	return a.Err()
}

// replaceFile leaves the old content or the new, whatever happens.
func replaceFile(path, text string) error {
	draft := path + ".new"
	if err := writeFile(draft, text); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
