// Package safefile opens, creates and replaces files durably, and without
// being led astray by another user.
//
// Commands run by root work in a directory that the service's user can write.
// There, any name can be a symbolic link, a hard link or a FIFO by the time it
// is opened. Two rules keep root from being misused:
//
//   - root touches such files as the user who controls the path ([OwnerOf]), so
//     it can do no more than that user could;
//   - only regular files are opened ([Open], [OpenOwn]), so a FIFO cannot block
//     the caller.
//
// [Create], [Replace] and [Remove] follow the first rule by themselves. For
// everything else, run it in [User.Do].
package safefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Create makes a file with mode 0600, and never changes one that exists: the
// error is then [os.ErrExist]. The file gets its name when write has returned
// and the content is on disk, so a crash leaves all of the file or nothing.
// write may close the file once it has synced it.
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

// Replace writes a file in place of the one that has the name, if there is
// one. A crash leaves the old content or the new. It replaces a symbolic link
// rather than its target. Only one caller may replace the same path at a time.
func Replace(path string, mode os.FileMode, content []byte) error {
	return asOwner(path, func() error {
		draft := path + ".new"
		_ = os.Remove(draft) // of a crash
		err := fill(draft, mode, func(f *os.File) error {
			_, err := f.Write(content)
			return err
		})
		if err != nil {
			return err
		}
		if err := os.Rename(draft, path); err != nil {
			return err
		}
		return SyncDir(filepath.Dir(path))
	})
}

// Remove removes files. A file that is missing is not an error.
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

// fill makes a file that must not exist, and brings what write writes to disk.
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

// SyncDir makes the names in a directory durable: syncing a file does not
// sync its name (fsync(2)).
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Follow returns the path that a symbolic link leads to, and other paths as
// they are. Links among its directories stay.
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
