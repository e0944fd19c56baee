package safefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Edit replaces the content of a regular file with the result of change. The file keeps
// its mode, owner and group. A crash leaves the old content or the new. If change returns
// an error, the file is not touched. While another process edits the same file, Edit
// returns an error. Of a symbolic link it edits the target.
func Edit(path string, change func(old []byte) ([]byte, error)) error {
	path = Follow(path)
	return asOwner(filepath.Dir(path), func() error {
		f, err := Open(path, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := lock(f, path)
		if err != nil {
			return err
		}
		old, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		content, err := change(old)
		if err != nil {
			return err
		}
		return replace(path, 0o600, func(draft *os.File) error {
			if _, err := draft.Write(content); err != nil {
				return err
			}
			return copyOwnerAndMode(draft, info)
		})
	})
}

// lock never waits. It returns an error if another process has the lock, or has replaced
// the file since it was opened.
func lock(f *os.File, path string) (os.FileInfo, error) {
	busy := fmt.Errorf("another process is changing %s: try again", path)
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, busy
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	now, err := os.Lstat(path)
	if err != nil || !os.SameFile(info, now) {
		return nil, errors.Join(busy, err)
	}
	return info, nil
}

// copyOwnerAndMode gives a new file the owner, group and mode of another. The mode comes
// last: until then only the owner of the draft can read it.
func copyOwnerAndMode(f *os.File, other os.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	has, want := info.Sys().(*syscall.Stat_t), other.Sys().(*syscall.Stat_t)
	if has.Uid != want.Uid || has.Gid != want.Gid {
		if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return fmt.Errorf("keeping the owner of the file (%d:%d): %w", want.Uid, want.Gid, err)
		}
	}
	return f.Chmod(other.Mode().Perm())
}
