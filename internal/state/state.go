// Package state is the file with all durable data of the process: the records of
// embedded stores, the audit log, the keyring.
//
// A change is one record in a journal and one flush, which concurrent changes share. It
// then counts by means of an overlay in memory, and checkpoints move the overlay into
// the state file, which is a bbolt file.
//
// Start reading at [File.Update] and commit.go, then generation.go and checkpoint.go.
// Failures of the disk are handled in broken.go (errors), checkpoint.go (full) and
// survey.go (wrong content).
package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// FormatVersion is the version of the file format that this package writes. It also reads
// format 2, which has no MAC over all rows, and format 1, which has no journal either.
const FormatVersion = 3

// unauthenticVersion is the version of the format without a MAC over all rows.
const unauthenticVersion = 2

var (
	// ErrMissing means that there is no state file. Opening never creates one: an
	// empty store in place of one that is merely not mounted would look like the loss
	// of everything.
	ErrMissing = errors.New("there is no state file")
	// ErrFull means that the disk is full and the change did not happen. Later changes
	// succeed as soon as there is space again.
	ErrFull = fmt.Errorf("no space left for the state file: %w", secret.ErrFull)
	// ErrBroken means that the disk failed during a commit, whose outcome is therefore
	// unknown. No commit is possible any more: the process must end, and the next one
	// finds the last complete state.
	ErrBroken = fmt.Errorf("the disk failed during a commit: %w", secret.ErrUnavailable)
	// ErrUnlinked means that the file was deleted or replaced while it was open. Later
	// writes to it would be lost.
	ErrUnlinked = fmt.Errorf("the state file was deleted or replaced: %w", secret.ErrUnavailable)
	// ErrJournal means that the journal beside the state file is missing, is that of
	// another file, or is from another moment.
	ErrJournal = errors.New("the state file and its journal do not fit together")
	// ErrClosed means that the file is closed, or about to be.
	ErrClosed = fmt.Errorf("the state file is closed: %w", secret.ErrUnavailable)
)

const (
	lockTimeout = 300 * time.Millisecond
	// Address space, not memory: a file below this size can grow without a remap,
	// which would block readers.
	mapBytes = 256 << 20
	// One queue of jobs; when it is full, callers wait to get in.
	maxQueued = 1024
)

// A File is an open state file. It is safe for concurrent use.
type File struct {
	id       string
	name     string        // path given to Open
	path     string        // resolved path; the files beside it are in its directory
	owner    safefile.User // the owner of files that root creates beside it
	damage   string
	upgraded string                     // backup of the file in its older format
	gen      atomic.Pointer[generation] // replaced by publish
	stuck    atomic.Bool                // bbolt has panicked with its locks held
	jobs     chan *job
	reserved chan *job     // those of UpdateReserved, once hasLater is set
	hasLater atomic.Bool   // there has been a change that is flushed later
	flushing atomic.Bool   // a change is being flushed, and others go on: see meanwhile.go
	turn     chan struct{} // holds one element while a goroutine commits

	observed       func(Commit)                             // may be nil
	traced         func(context.Context) (done func(error)) // may be nil
	journalUsed    atomic.Int64                             // at the last commit or checkpoint
	lastCheckpoint atomic.Int64                             // Unix time in milliseconds

	// Only the goroutine with the turn uses these.
	log       recordLog
	node      *node        // nil for a file that only one process has
	complete  bool         // the journal has nothing that bbolt has not, and bbolt says so
	encoded   []byte       // buffer for a change set
	last      position     // of the last change set in the journal
	unflushed []unflushed  // the last change sets, in order: see later.go
	built     chan overlay // see build; nil for none
	deferred  []*job       // to be committed first
	during    overlay      // rows of the change set that is being flushed; nil for none
	behind    overlay      // their rows, for transactions; nil for none
	chainKey  change.MACKey

	publishing sync.Mutex                   // held by publish
	moving     sync.Mutex                   // held while bbolt is written
	sum        rowSum                       // of the rows in bbolt; guarded by moving, and not known before compared
	auth       *authenticator               // guarded by moving
	altered    atomic.Pointer[alteredError] // see Altered; nil for none
	compared   chan struct{}                // closed when all rows have been compared with their MAC
	options    Options
	compacting sync.Mutex  // held by Compact
	wiping     atomic.Bool // checkpoints overwrite the records that they have moved

	compactingSince atomic.Int64 // Unix time in nanoseconds; 0: no compaction is in progress

	due       chan struct{} // asks for a checkpoint
	behindDue chan struct{} // asks for a flush
	hurry     atomic.Int32  // commits that wait for the checkpoint
	fullSince atomic.Int64  // time of the last checkpoint, if it failed on a full disk
	refusing  atomic.Bool   // ordinary changes, on a full disk

	done         chan struct{} // closed after the last commit
	watched      chan struct{} // closed when the watch has ended
	checkpointed chan struct{} // closed when checkpoints have ended
	flushed      chan struct{} // closed when flushes has ended
	broken       chan struct{} // closed when no commit is possible any more
	breaking     sync.Once     // closes broken
	cause        error         // reason for closing broken

	placing sync.Mutex    // guards self, and lookups of the path while Compact changes it
	self    os.FileInfo   // identity of the open file
	file    *os.File      // guarded by moving too
	beside  []os.FileInfo // identities of the journal's files

	watching sync.Mutex // guards watchers
	watchers []watcher

	mu     sync.RWMutex // guards closed, after which nothing is queued
	closed bool
}

// ID returns the random id that the file got when it was created. Records sealed for
// one file open in no other.
func (f *File) ID() string { return f.id }

// Path returns the path of the file with symbolic links resolved.
func (f *File) Path() string { return f.path }

// Owner returns the user that owns files that root creates beside the state file.
func (f *File) Owner() safefile.User { return f.owner }

// Journal returns the paths of the two files that have the changes since the last
// checkpoint. A node has none.
func (f *File) Journal() []string {
	if f.node != nil {
		return nil
	}
	return journal.Paths(f.path)
}

// Upgraded returns the path of the backup that Open made before it changed an older
// format, empty for none.
func (f *File) Upgraded() string { return f.upgraded }

// View runs fn on the last committed state. Keys and values are valid only until fn
// returns. Errors: those of fn, ErrClosed, ErrDamaged.
func (f *File) View(fn func(*Tx) error) error {
	if f.stuck.Load() {
		return f.Err()
	}
	began := false
	err := guarded(func() error {
		g, bolt, err := f.begin()
		if err != nil {
			return err
		}
		began = true
		defer func() { _ = bolt.Rollback() }()
		return fn(&Tx{bolt: bolt, gen: g})
	})
	if !began && errors.Is(err, ErrDamaged) {
		f.stuckWith(err)
	}
	return err
}

// stuckWith handles a panic during the begin or the commit of a transaction: bbolt may
// still hold its locks, and the next transaction would wait forever.
func (f *File) stuckWith(err error) {
	f.breakWith(err)
	f.stuck.Store(true)
}

// Update runs fn in a transaction and returns when its writes are on disk. Calls that
// arrive while a commit runs share the next one.
//
// fn computes everything that it writes from what it reads in the same transaction. It
// may run more than once, and only its last run counts, so it may set variables outside
// of it, but not add to them.
//
// If fn returns an error, its writes are not committed, Update returns the error, and
// other calls in the same commit are unaffected. This is cheap if fn has not written;
// otherwise the commit starts over without it.
//
// A call of [Tx.FlushLater] in fn is the only exception from being on disk.
//
// ctx ends only the wait for a place in the queue: a queued change happens, and its
// outcome is returned. Other errors: ErrFull, ErrClosed, ErrDamaged, and those of
// [File.Err].
func (f *File) Update(ctx context.Context, fn func(*Tx) error) error {
	return f.do(ctx, &job{fn: fn})
}

// UpdateReserved is Update for audit entries that must precede an answer. On a full
// disk it may use the reserve, and returns ErrFull only when that is spent too.
func (f *File) UpdateReserved(ctx context.Context, fn func(*Tx) error) error {
	return f.do(ctx, &job{fn: fn, reserved: true})
}

func (f *File) do(ctx context.Context, j *job) (err error) {
	if err := f.isAltered(); err != nil {
		return err
	}
	if err := f.awaitLog(ctx, f.gen.Load().at); err != nil {
		return err
	}
	if f.traced != nil {
		if done := f.traced(ctx); done != nil {
			defer func() { done(err) }()
		}
	}
	j.done = make(chan struct{})
	if err := f.queue(ctx, j); err != nil {
		return err
	}
	f.await(j)
	if j.panicked != nil {
		panic(j.panicked) // in the caller of this job, not in another one
	}
	return j.err
}

// await returns when the job is done. If no goroutine is committing, it commits the
// queue itself, so that a lone change need not wake another goroutine.
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
	jobs := f.jobs
	if j.reserved && f.hasLater.Load() {
		jobs = f.reserved
	}
	select {
	case jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close commits queued changes and closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	f.closed = true
	f.mu.Unlock()
	f.turn <- struct{}{} // never released
	for f.hasJobs() || len(f.deferred) > 0 {
		f.commitQueued()
	}
	close(f.done)
	<-f.compared
	<-f.watched
	<-f.checkpointed
	<-f.flushed
	if f.stuck.Load() {
		return errors.Join(f.Err(), f.log.Close())
	}
	err := f.finish()
	return errors.Join(err, f.log.Close(), f.gen.Load().db.Close())
}

// finish moves everything into bbolt and marks the state file as complete. On a full or
// broken disk it leaves the changes in the journal. The cache of a node keeps changes that
// the database has lost, so that the node does not start again as if there had been none.
func (f *File) finish() error {
	if f.complete || f.fileErr() != nil || f.isAltered() != nil {
		return nil
	}
	if err := f.settle(); err != nil {
		return err
	}
	f.hurry.Add(1) // nothing else waits
	err := f.move(false)
	if err == nil && f.gen.Load().until != f.gen.Load().at {
		if err = f.freeze(); err == nil {
			err = f.move(false)
		}
	}
	if err == nil && f.node == nil {
		err = f.markComplete()
	}
	if errors.Is(err, ErrFull) {
		return nil
	}
	return err
}

// markComplete says in the state file that it is whole without the journal, in both of
// its meta pages: if one of them is damaged later, the other does not lead back to a
// state that needs the journal.
func (f *File) markComplete() error {
	f.moving.Lock()
	defer f.moving.Unlock()
	for range 2 {
		err := f.updateBolt(f.gen.Load().db, func(tx *boltTx) error { return tx.putHeader(completeKey, []byte{1}) })
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveComplete says in the state file that it needs the journal, before the first
// change set since the start goes there.
func (f *File) leaveComplete() error {
	if !f.complete {
		return nil
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	err := f.updateBolt(f.gen.Load().db, func(tx *boltTx) error { return tx.putHeader(completeKey, nil) })
	f.complete = err != nil
	return err
}
