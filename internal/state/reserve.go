package state

import (
	"errors"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
)

const (
	reserveBytes = 4 << 20
	// retryReserve bounds how often a full disk is asked for room again.
	retryReserve = 250 * time.Millisecond
)

// A reserve is room on the disk, held by a file beside the state file, for
// what must go on record when there is no other room left. While it is spent,
// ordinary changes are refused, or they would use up what was meant for
// others. It belongs to whoever has the turn.
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

// fill allocates what is missing of the reserve: all of it, or nothing.
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

// available reports whether the reserve is there, and fills it if there is
// room again.
func (r *reserve) available() bool {
	if r.spent && time.Since(r.tried) >= retryReserve {
		r.tried = time.Now()
		r.spent = r.fill() != nil
	}
	return !r.spent
}

// spend gives the room back to the file system. It reports whether there was
// any.
func (r *reserve) spend() bool {
	if r.spent {
		return false
	}
	r.spent, r.tried = true, time.Now()
	file, err := r.open(os.O_RDWR)
	if err != nil {
		return true // somebody has removed it, which also makes room
	}
	// Some file systems free blocks only when this is on disk. If it fails,
	// the next commit will notice.
	_ = errors.Join(file.Truncate(0), file.Sync(), file.Close())
	return true
}

// allocateByWriting is for file systems that cannot allocate.
func allocateByWriting(file *os.File, size int64) error {
	if _, err := file.WriteAt(make([]byte, size), 0); err != nil {
		return err
	}
	return file.Sync() // where room is given out late, it is now
}
