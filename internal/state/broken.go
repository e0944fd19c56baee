package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	berrors "go.etcd.io/bbolt/errors"
)

// watchEvery is how soon an idle process notices that its file is gone.
const watchEvery = 250 * time.Millisecond

// Broken is closed when nothing can be committed any more and the process
// must end; [File.Err] then says why.
func (f *File) Broken() <-chan struct{} { return f.broken }

// Err is nil as long as changes can be committed, and then ErrBroken,
// ErrUnlinked or ErrDamaged.
func (f *File) Err() error {
	select {
	case <-f.broken:
		return f.cause
	default:
		return nil
	}
}

func (f *File) breakWith(cause error) {
	f.breaking.Do(func() {
		f.cause = cause
		close(f.broken)
	})
}

// outcome tells a full disk from a broken one. A page that found no room was
// not written, and the meta page that would have made it count was not either
// (bbolt writes it last); but after a failed fsync the kernel may have dropped
// the pages and say yes the next time (Rebello et al., ATC'20), so that one is
// final, and so is everything else that is not understood.
func (f *File) outcome(err error) error {
	if err == nil {
		return f.inPlace()
	}
	var onPath *fs.PathError // of a write, not of an fsync
	if (errors.As(err, &onPath) && isNoRoom(err)) || errors.Is(err, berrors.ErrMaxSizeReached) {
		return ErrFull
	}
	f.breakWith(fmt.Errorf("%w: %w", ErrBroken, err))
	return f.Err()
}

func isNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// watch notices that the file is gone while nobody writes.
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

// inPlace returns ErrUnlinked if a name of the file leads to nothing, or to
// another file. Every commit asks before it is acknowledged.
func (f *File) inPlace() error {
	f.placing.Lock()
	defer f.placing.Unlock()
	if !leadsTo(f.path, f.self) || f.name != f.path && !leadsTo(f.name, f.self) {
		f.breakWith(ErrUnlinked)
		return ErrUnlinked
	}
	return nil
}

// statLeadsTo reports whether the path leads to this file, as far as it can be
// known.
func statLeadsTo(path string, file os.FileInfo) bool {
	there, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	return os.SameFile(there, file)
}
