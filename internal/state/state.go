// Package state is the one file in which this process keeps what must outlive
// it: the records of embedded stores, the audit log, the keyring. It is a
// bbolt file in which changes that arrive together share one commit, so that
// whoever waits for a change waits for the disk and for nothing else.
//
// Start reading at [File.Update], which commit.go does. What a disk can do to
// the file is in broken.go (it fails), reserve.go (it is full) and survey.go
// (it returns something else than was written).
package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/strongroom/strongroom/internal/safefile"
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
	// did not happen. Later ones succeed as soon as there is room again.
	ErrFull = fmt.Errorf("no space left for the state file: %w", secret.ErrFull)
	// ErrBroken means that the disk failed during a commit, so that nobody
	// knows what it holds of it. Nothing is committed any more: the process
	// must end, and the next one will find the last state that is whole.
	ErrBroken = fmt.Errorf("the disk failed during a commit: %w", secret.ErrUnavailable)
	// ErrUnlinked means that the file was deleted or replaced while it was
	// open. What would still be written to it could never be found again.
	ErrUnlinked = fmt.Errorf("the state file was deleted or replaced: %w", secret.ErrUnavailable)
	// ErrClosed means that the file is closed, or about to be.
	ErrClosed = fmt.Errorf("the state file is closed: %w", secret.ErrUnavailable)
)

const (
	lockTimeout = 300 * time.Millisecond
	// Address space, not memory: up to this size a growing file need not be
	// mapped anew, which would hold up readers.
	mapBytes = 256 << 20
	// One queue of jobs; when it is full, callers wait to get in.
	maxQueued = 1024
)

// A File is an open state file. It is safe for concurrent use.
type File struct {
	id     string
	name   string        // as it was opened
	path   string        // where that leads; everything beside the file is there
	owner  safefile.User // on whose behalf root makes files beside it
	damage string
	db     atomic.Pointer[bbolt.DB] // another one after Compact
	stuck  atomic.Bool              // bbolt has panicked with its locks held
	jobs   chan *job
	turn   chan struct{} // holds one element while somebody commits

	// For whoever has the turn.
	keys    uint64 // sum of all keys, see survey
	reserve *reserve

	done     chan struct{} // closed when nothing is committed any more
	watched  chan struct{} // closed when the watch has ended
	broken   chan struct{} // closed when nothing can be committed any more
	breaking sync.Once     // closes broken
	cause    error         // why broken is closed

	placing sync.Mutex  // guards self, and the name of the file against being looked up while Compact changes it
	self    os.FileInfo // which file it is

	mu     sync.RWMutex // guards closed, after which nothing is queued
	closed bool
}

// ID is the file's own name, chosen when it was made: what is sealed for one
// file opens in no other.
func (f *File) ID() string { return f.id }

// Path is where the file is, and not a symbolic link to it.
func (f *File) Path() string { return f.path }

// Owner is the user on whose behalf root makes files beside the state file.
func (f *File) Owner() safefile.User { return f.owner }

// View runs fn on the last committed state. Keys and values that fn sees are
// only valid until it returns. Errors: fn's, ErrClosed, ErrDamaged.
func (f *File) View(fn func(*Tx) error) error {
	return f.view(func(tx *bbolt.Tx) error { return fn(&Tx{tx: tx}) })
}

func (f *File) view(fn func(*bbolt.Tx) error) error {
	for {
		if f.stuck.Load() {
			return f.Err()
		}
		db, began := f.db.Load(), false
		err := guarded(func() error {
			return db.View(func(tx *bbolt.Tx) error {
				began = true
				return fn(tx)
			})
		})
		switch {
		case began:
			return err
		case errors.Is(err, ErrDamaged):
			f.stuckWith(err)
		case !errors.Is(err, berrors.ErrDatabaseNotOpen):
			return err
		case db == f.db.Load(): // or else Compact has replaced it just now
			return ErrClosed
		}
	}
}

// stuckWith is for a panic in the midst of beginning or committing: bbolt may
// still hold its locks, and whoever needs one would wait for ever.
func (f *File) stuckWith(err error) {
	f.breakWith(err)
	f.stuck.Store(true)
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
// its outcome is returned. Other errors: ErrFull, ErrClosed, ErrDamaged, and
// whatever [File.Err] returns.
func (f *File) Update(ctx context.Context, fn func(*Tx) error) error {
	return f.do(ctx, &job{fn: fn})
}

// UpdateReserved is Update for what has to go on record before something is
// answered: when the disk is full it may use the reserve, which is ErrFull
// only when that is spent as well.
func (f *File) UpdateReserved(ctx context.Context, fn func(*Tx) error) error {
	return f.do(ctx, &job{fn: fn, reserved: true})
}

func (f *File) do(ctx context.Context, j *job) error {
	j.done = make(chan struct{})
	if err := f.queue(ctx, j); err != nil {
		return err
	}
	f.await(j)
	if j.panicked != nil {
		panic(j.panicked) // where it can be reported, and not in another caller
	}
	return j.err
}

// await returns when the job is done. Whoever finds nobody committing commits
// what is queued, so that a lone change waits for no other goroutine to wake up.
func (f *File) await(j *job) {
	for {
		select {
		case <-j.done:
			return
		case f.turn <- struct{}{}:
			if !j.isDone() {
				f.commitQueued()
			}
			<-f.turn
		}
	}
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
	f.mu.Unlock()
	f.turn <- struct{}{} // for good
	for len(f.jobs) > 0 {
		f.commitQueued()
	}
	close(f.done)
	<-f.watched
	if f.stuck.Load() {
		return f.Err()
	}
	return f.db.Load().Close()
}
