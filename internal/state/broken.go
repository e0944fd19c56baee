package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/strongroom/strongroom/internal/state/journal"
)

// watchEvery is the interval at which an idle process checks that its file exists.
const watchEvery = 250 * time.Millisecond

// Broken is closed when no commit is possible any more and the process must end.
// [File.Err] then returns the reason.
func (f *File) Broken() <-chan struct{} { return f.broken }

// Err returns nil while changes can be committed, and afterwards ErrBroken,
// ErrUnlinked or ErrDamaged.
func (f *File) Err() error {
	select {
	case <-f.broken:
		return f.cause
	default:
		return nil
	}
}

// fileErr is Err for what concerns the file alone: it is nil if the database has lost changes.
func (f *File) fileErr() error {
	if err := f.Err(); !errors.Is(err, ErrDiverged) {
		return err
	}
	return nil
}

func (f *File) breakWith(cause error) {
	f.breaking.Do(func() {
		f.cause = cause
		close(f.broken)
	})
}

// outcome distinguishes a full disk from a broken one. On a full disk a page was not
// written, and neither was the meta page that would make it valid (bbolt writes it
// last), so the file is intact. The journal's files have their space, except on a file
// system that writes elsewhere each time; the record then does not count. After a failed
// fsync the kernel may have dropped the pages and report success the next time (Rebello
// et al., ATC'20), so that error is final. So is every unknown error.
func (f *File) outcome(err error) error {
	var onPath *fs.PathError // of a write, not of an fsync
	switch {
	case err == nil && f.node != nil: // a node loses nothing with its cache
		return nil
	case err == nil:
		return f.inPlace()
	case isAnswer(err):
		return err
	case errors.Is(err, ErrDiverged):
		f.breakWith(err)
		return err
	}
	if (errors.As(err, &onPath) && isNoRoom(err)) || errors.Is(err, berrors.ErrMaxSizeReached) {
		return ErrFull
	}
	f.breakWith(fmt.Errorf("%w: %w", ErrBroken, err))
	return f.Err()
}

func isNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// watch detects a deleted or replaced file while there are no commits.
func (f *File) watch() {
	defer close(f.watched)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = f.inPlace() // it has closed broken
		case <-f.done:
			return
		}
	}
}

// inPlace returns ErrUnlinked if a name of the file, or of its journal, leads to nothing
// or to another file. Every flush of a state file checks it, and so every commit before it is
// acknowledged, except those that are flushed later.
func (f *File) inPlace() error {
	f.placing.Lock()
	defer f.placing.Unlock()
	lost := !leadsTo(f.path, f.self) || f.name != f.path && !leadsTo(f.name, f.self)
	for i, beside := range f.beside {
		lost = lost || !leadsTo(journal.Paths(f.path)[i], beside)
	}
	if lost {
		f.breakWith(ErrUnlinked)
		return ErrUnlinked
	}
	return nil
}

// statLeadsTo reports whether the path leads to this file. It returns true if that
// cannot be determined.
func statLeadsTo(path string, file os.FileInfo) bool {
	there, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	return os.SameFile(there, file)
}
