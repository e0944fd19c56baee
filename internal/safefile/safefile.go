// Package safefile opens, creates and replaces files durably, and protects root against
// links planted by another user.
//
// Commands run by root work in a directory that the service's user can write. That user
// can replace any file there with a symbolic link, a hard link or a FIFO. Two rules
// prevent an attack:
//
//   - root accesses such files with the rights of the user that controls the path
//     ([OwnerOf]), so that it can do no more than that user;
//   - only regular files are opened ([Open], [OpenOwn]), so a FIFO cannot block
//     the caller.
//
// [Create], [Replace], [Edit] and [Remove] follow the first rule by themselves. Run
// everything else in [User.Do].
package safefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Create creates a file with mode 0600. If the path exists, it changes nothing and
// returns [os.ErrExist]. The file appears under its name only after write has returned
// and the content is on disk, so a crash leaves a complete file or none. write may close
// the file after syncing it.
func Create(path string, write func(*os.File) error) error {
	return asOwner(path, func() error {
		if _, err := os.Lstat(path); err == nil {
			return &os.PathError{Op: "create", Path: path, Err: os.ErrExist}
		}
		number := make([]byte, 4)
		_, _ = rand.Read(number)
		draft := fmt.Sprintf("%s.%x.new", path, number)
		defer func() { _ = os.Remove(draft) }()
		if err := fill(draft, 0o600, write); err != nil {
			if at, ok := errors.AsType[*os.PathError](err); ok && at.Path == draft {
				at.Path = path // the name that the caller knows
			}
			return err
		}
		if err := claim(draft, path); err != nil {
			return err
		}
		return SyncDir(filepath.Dir(path))
	})
}

// CreateText is [Create] for content that is in memory.
func CreateText(path string, content []byte) error {
	return Create(path, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// Replace replaces the content of a file, or creates it. A crash leaves the old content
// or the new. A symbolic link is replaced, not its target. Concurrent calls for the same
// path are not allowed.
func Replace(path string, mode os.FileMode, content []byte) error {
	return asOwner(path, func() error {
		return replace(path, mode, func(f *os.File) error {
			_, err := f.Write(content)
			return err
		})
	})
}

// replace writes a draft beside the file and renames it to the path.
func replace(path string, mode os.FileMode, write func(*os.File) error) error {
	draft := path + ".new"
	_ = os.Remove(draft) // left by a crash
	if err := fill(draft, mode, write); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Remove removes files. A missing file is not an error.
func Remove(paths ...string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, asOwner(path, func() error { return os.Remove(path) }))
	}
	for i, err := range errs {
		if errors.Is(err, os.ErrNotExist) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// fill creates a new file, calls write and syncs the content to disk.
func fill(path string, mode os.FileMode, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = write(f)
	if end := errors.Join(f.Sync(), f.Close()); !errors.Is(end, os.ErrClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// SyncDir makes the names in a directory durable: syncing a file does not sync its name
// (fsync(2)).
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Follow resolves a symbolic link. It returns other paths unchanged. Links among the
// directories of the path stay.
func Follow(path string) string {
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}
