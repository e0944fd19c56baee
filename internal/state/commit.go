package state

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// A job is one call of Update, UpdateReserved or Compact.
type job struct {
	fn       func(*Tx) error
	reserved bool         // may use the reserve
	gaveUp   bool         // and will not, see Tx.GiveUpReserve
	alone    func() error // replaces fn; runs without a transaction, with the turn
	err      error
	panicked any
	done     chan struct{} // closed when err and panicked are final
}

func (j *job) isDone() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// maxBatch limits the jobs of one commit, and so the wait of the first one.
const maxBatch = 256

// commitQueued commits the queued jobs. There is no timer: a lone change commits at
// once, and a batch forms while a commit runs. The caller has the turn.
func (f *File) commitQueued() {
	if batch := f.queued(); len(batch) > 0 {
		f.commit(batch)
	}
}

func (f *File) queued() (batch []*job) {
	for len(batch) < maxBatch {
		select {
		case j := <-f.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit runs all jobs in one transaction. If a job fails after it wrote, the
// transaction starts over without it, because bbolt cannot undo a part.
func (f *File) commit(batch []*job) {
	var failed error
	defer f.observe(len(batch), time.Now(), &failed)
	defer func() {
		for _, j := range batch {
			close(j.done)
		}
	}()
	left := f.admit(batch)
	for len(left) > 0 {
		spoiler, err := f.try(left)
		switch {
		case spoiler >= 0:
			left = slices.Delete(left, spoiler, spoiler+1)
		case errors.Is(err, ErrFull):
			failed = err
			left = f.makeRoom(left)
		default:
			failed = err
			fail(left, err)
			return
		}
	}
}

// admit runs the jobs that cannot share a transaction and returns the others.
func (f *File) admit(batch []*job) []*job {
	var left []*job
	for _, j := range batch {
		switch {
		case j.alone != nil:
			j.err = j.alone()
		case !j.reserved && !f.reserve.available():
			j.err = ErrFull
		default:
			left = append(left, j)
		}
	}
	return left
}

// makeRoom returns the jobs to retry on a full disk: first only those with a right to
// the reserve, because an ordinary one may have been too large, then the same ones
// after it has freed the reserve.
func (f *File) makeRoom(jobs []*job) []*job {
	var reserved, ordinary []*job
	for _, j := range jobs {
		if j.reserved && !j.gaveUp {
			reserved = append(reserved, j)
		} else {
			ordinary = append(ordinary, j)
		}
	}
	fail(ordinary, ErrFull)
	if len(ordinary) > 0 || len(reserved) == 0 || f.reserve.spend() {
		return reserved
	}
	fail(reserved, ErrFull)
	return nil
}

func fail(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
	}
}

// try runs the jobs and commits. It returns the index of a job that failed after it
// wrote, or -1 and the outcome for all jobs.
func (f *File) try(jobs []*job) (spoiler int, err error) {
	if err := f.Err(); err != nil {
		return -1, err
	}
	defer func() {
		if p := recover(); p != nil { // in our code, not in a job
			err = fmt.Errorf("%w: %v\n%s", ErrBroken, p, debug.Stack())
			f.stuckWith(err)
			spoiler = -1
		}
	}()
	err = guarded(func() error {
		spoiler, err = f.attempt(jobs)
		return err
	})
	if errors.Is(err, ErrDamaged) {
		f.stuckWith(err)
		return -1, err
	}
	return spoiler, err
}

func (f *File) attempt(jobs []*job) (spoiler int, err error) {
	f.rehearse(jobs) // in tests only
	btx, err := f.db.Load().Begin(true)
	if err != nil {
		return -1, fmt.Errorf("beginning a commit: %w", err)
	}
	defer func() { _ = btx.Rollback() }() // no effect after a commit
	watchers := f.currentWatchers()
	tx := &Tx{tx: btx, keys: f.keys, changes: newChanges(watchers), spent: f.reserve.spent}
	for i, j := range jobs {
		before := tx.writes
		j.run(tx)
		if j.panicked != nil || errors.Is(j.err, ErrDamaged) || (j.err != nil && tx.writes > before) {
			return i, nil
		}
	}
	if tx.writes == 0 {
		return -1, nil
	}
	if err := tx.putSum(); err != nil {
		return -1, fmt.Errorf("finishing a commit: %w", err)
	}
	if err := f.outcome(btx.Commit()); err != nil {
		return -1, err
	}
	f.keys = tx.keys
	tx.changes.tell(watchers)
	return -1, nil
}

func (j *job) run(tx *Tx) {
	defer func() { j.panicked = recover() }()
	tx.job, j.gaveUp = j, false
	j.err = guarded(func() error { return j.fn(tx) })
}
