// Package state is the one file in which this process keeps what must outlive
// it: the records of embedded stores, the audit log, the keyring. It is a
// bbolt file with one committer, so that changes that arrive together share
// one commit, and whoever waits for a change waits for the disk and for
// nothing else.
//
// Start reading at [File.Update].
package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/strongroom/strongroom/internal/secret"
)

// FormatVersion is that of the files this package reads and writes.
const FormatVersion = 1

var (
	// ErrMissing means that there is no state file. Nothing makes a new one
	// by itself: an empty store in the place of a full one that is merely
	// not mounted would look like the loss of everything.
	ErrMissing = errors.New("there is no state file")
	// ErrFull means that the disk had no room for a change, which therefore
	// did not happen. Later ones may succeed.
	ErrFull = fmt.Errorf("no space left for the state file: %w", secret.ErrFull)
	// ErrBroken means that the disk failed during a commit, so that nobody
	// knows what it holds of it. Nothing is committed any more: the process
	// must end, and the next one will find the last state that is whole.
	ErrBroken = fmt.Errorf("the disk failed during a commit: %w", secret.ErrUnavailable)
	// ErrClosed means that the file is closed, or about to be.
	ErrClosed = fmt.Errorf("the state file is closed: %w", secret.ErrUnavailable)
)

const (
	lockTimeout = 300 * time.Millisecond
	// Address space, not memory: up to this size a growing file need not be
	// mapped anew, which would hold up readers.
	mapBytes = 256 << 20
	// One queue of jobs; when it is full, callers wait to get in.
	queued = 1024
)

// A File is an open state file. It is safe for concurrent use.
type File struct {
	db     *bbolt.DB
	id     string
	jobs   chan *job
	done   chan struct{} // closed when the committer has ended
	broken chan struct{} // closed when nothing can be committed any more

	mu     sync.RWMutex // guards closed, and sending on jobs against closing it
	closed bool
}

// Open opens a state file that [Create] made. Errors: ErrMissing, a
// HeldError if another process has it open, or a sentence that says what is
// wrong with the file, wrong permissions included.
func Open(path string) (*File, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, options())
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, heldBy(path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the state file %s: %w", path, err)
	}
	f := &File{
		db: db, jobs: make(chan *job, queued),
		done: make(chan struct{}), broken: make(chan struct{}),
	}
	if f.id, err = readHeader(db); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the state file %s: %w", path, err), db.Close())
	}
	noteHolder(path)
	go f.commitAll()
	return f, nil
}

func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapBytes,
	}
}

func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w at %s", ErrMissing, path)
	case err != nil:
		return fmt.Errorf("opening the state file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the state file %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("the state file %s is open to others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	return nil
}

// ID is the file's own name, chosen when it was made: what is sealed for one
// file opens in no other.
func (f *File) ID() string { return f.id }

// Broken is closed when nothing can be committed any more (ErrBroken).
func (f *File) Broken() <-chan struct{} { return f.broken }

// View runs fn on the last committed state. Keys and values that fn sees are
// only valid until it returns.
func (f *File) View(fn func(*Tx) error) error {
	err := f.db.View(func(tx *bbolt.Tx) error { return fn(&Tx{tx: tx}) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// Update runs fn in a transaction and returns when what it wrote is on disk.
// What other callers queue while a commit runs shares the next one.
//
// If fn returns an error, nothing of it is committed and Update returns the
// error; others in the same commit do not notice. That is cheap as long as fn
// has not written yet, and otherwise the commit starts over without it: fn
// may run more than once, and only its last run counts.
//
// Context ends only the wait to get in: a change that is queued happens, and
// its outcome is returned. Other errors: ErrFull, ErrBroken, ErrClosed.
func (f *File) Update(ctx context.Context, fn func(*Tx) error) error {
	j := &job{fn: fn, done: make(chan struct{})}
	if err := f.queue(ctx, j); err != nil {
		return err
	}
	<-j.done
	if j.panicked != nil {
		panic(j.panicked) // where it can be reported, not in the committer
	}
	return j.err
}

func (f *File) queue(ctx context.Context, j *job) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case f.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close commits what is queued and closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	f.closed = true
	close(f.jobs)
	f.mu.Unlock()
	<-f.done
	return f.db.Close()
}
