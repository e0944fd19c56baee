package state

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"
)

// A job is one call of Update.
type job struct {
	fn       func(*Tx) error
	err      error
	panicked any
	done     chan struct{} // closed when err and panicked are final
}

// maxBatch bounds what one commit may take on, so that nobody waits for long.
const maxBatch = 256

// commitAll is the committer. There is no timer: a lone change commits at
// once, and a crowd forms by itself while a commit runs.
func (f *File) commitAll() {
	defer close(f.done)
	for j := range f.jobs {
		f.commit(f.withQueued(j))
	}
}

func (f *File) withQueued(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j, ok := <-f.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit does all the jobs in one transaction, but for those that fail after
// they wrote: bbolt cannot undo a part of a transaction, so it starts over
// without them.
func (f *File) commit(batch []*job) {
	defer func() {
		for _, j := range batch {
			close(j.done)
		}
	}()
	left := slices.Clone(batch)
	for {
		spoiler, err := f.try(left)
		if spoiler < 0 {
			fail(left, err)
			return
		}
		left = slices.Delete(left, spoiler, spoiler+1)
	}
}

func fail(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
	}
}

// try runs the jobs and commits what they wrote. It returns the number of a
// job that spoiled the transaction, or -1 and the outcome for all of them.
func (f *File) try(jobs []*job) (spoiler int, err error) {
	select {
	case <-f.broken:
		return -1, ErrBroken
	default:
	}
	btx, err := f.db.Begin(true)
	if err != nil {
		return -1, fmt.Errorf("beginning a commit: %w", err)
	}
	defer func() { _ = btx.Rollback() }() // after a commit it does nothing
	tx := &Tx{tx: btx}
	for i, j := range jobs {
		before := tx.writes
		j.run(tx)
		if j.panicked != nil || (j.err != nil && tx.writes > before) {
			return i, nil
		}
	}
	if tx.writes == 0 {
		return -1, nil
	}
	return -1, f.outcome(btx.Commit())
}

func (j *job) run(tx *Tx) {
	defer func() { j.panicked = recover() }()
	j.err = j.fn(tx)
}

// outcome tells a full disk from a broken one. A page that found no room was
// not written, and the meta page that would have made it count was not either
// (bbolt writes it last); but after a failed fsync the kernel may have dropped
// the pages and say yes the next time (Rebello et al., ATC'20), so that one is
// final, and so is everything else that is not understood.
func (f *File) outcome(err error) error {
	if err == nil {
		return nil
	}
	var onPath *fs.PathError // of a write, not of an fsync
	noRoom := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if (errors.As(err, &onPath) && noRoom) || errors.Is(err, berrors.ErrMaxSizeReached) {
		return ErrFull
	}
	close(f.broken)
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
