package state

import (
	"errors"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
)

const (
	reserveBytes = 4 << 20
	// retryReserve is the interval between attempts to allocate the reserve on a full disk.
	retryReserve = 250 * time.Millisecond
)

// A reserve is disk space, held by a file beside the state file, for audit entries that
// must be written when the disk is full. While it is spent, ordinary changes are
// refused, so that they do not use up its space. Only the goroutine with the turn uses
// it.
type reserve struct {
	path  string
	owner safefile.User // of the state file
	spent bool
	tried time.Time
}

func reservePath(path string) string { return path + ".reserve" }

func openReserve(statePath string, owner safefile.User) (*reserve, error) {
	r := &reserve{path: reservePath(statePath), owner: owner}
	err := r.fill()
	if isNoRoom(err) {
		r.spent, r.tried, err = true, time.Now(), nil
	}
	return r, err
}

// fill allocates the missing part of the reserve, completely or not at all.
func (r *reserve) fill() (err error) {
	file, err := r.open(os.O_RDWR | os.O_CREATE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := allocate(file, reserveBytes); err != nil {
		return errors.Join(err, file.Truncate(0))
	}
	return nil
}

func (r *reserve) open(flag int) (file *os.File, err error) {
	err = r.owner.Do(func() (err error) {
		file, err = safefile.OpenOwn(r.path, flag)
		return err
	})
	return file, err
}

// available reports whether the reserve is full, and refills it if there is space
// again.
func (r *reserve) available() bool {
	if r.spent && time.Since(r.tried) >= retryReserve {
		r.tried = time.Now()
		r.spent = r.fill() != nil
	}
	return !r.spent
}

// spend frees the space of the reserve and reports whether there was any.
func (r *reserve) spend() bool {
	if r.spent {
		return false
	}
	r.spent, r.tried = true, time.Now()
	file, err := r.open(os.O_RDWR)
	if err != nil {
		return true // it was removed, which also frees its space
	}
	// Some file systems free blocks only when this is on disk. If it fails,
	// the next commit will notice.
	_ = errors.Join(file.Truncate(0), file.Sync(), file.Close())
	return true
}

// allocateByWriting allocates on file systems without fallocate.
func allocateByWriting(file *os.File, size int64) error {
	if _, err := file.WriteAt(make([]byte, size), 0); err != nil {
		return err
	}
	return file.Sync() // forces delayed allocation
}
