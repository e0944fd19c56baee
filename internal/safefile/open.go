package safefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open opens a regular file for reading, or for reading and writing with [os.O_RDWR]. It
// follows symbolic links. Any other kind of file, such as a FIFO, is an error and never
// blocks. The exception is a pipe of the same user, such as a shell's <(command), which
// can be read.
func Open(path string, flag int) (*os.File, error) {
	f, info, err := open(path, flag)
	if err != nil {
		return nil, err
	}
	ownPipe := info.Mode()&os.ModeNamedPipe != 0 && int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
	if !info.Mode().IsRegular() && !ownPipe {
		return nil, errors.Join(notRegular(path), f.Close())
	}
	return f, nil
}

// OpenOwn opens or creates a file that the program keeps beside another one, such as a
// lock. It returns an error for a symbolic link and for a file with a second hard link:
// either is an attack or a mistake.
func OpenOwn(path string, flag int) (*os.File, error) {
	f, info, err := open(path, flag|unix.O_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link: remove it", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.Join(notRegular(path), f.Close())
	case info.Sys().(*syscall.Stat_t).Nlink > 1:
		return nil, errors.Join(fmt.Errorf("%s is a hard link to another file: remove it", path), f.Close())
	}
	return f, nil
}

// CreateOwn creates a file as [OpenOwn] does. It replaces a file left by a crash.
func CreateOwn(path string) (*os.File, error) {
	_ = os.Remove(path)
	return OpenOwn(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// open does not wait until another process opens the other end of a FIFO (O_NONBLOCK of
// open(2)). It never truncates.
func open(path string, flag int) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, flag|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	switch {
	case errors.Is(err, unix.ENXIO): // a FIFO without a reader, or a socket
		return nil, nil, notRegular(path)
	case err != nil:
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func notRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// Read reads a file that it opens with [Open].
func Read(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// ReadPrivate reads a file and fails if other users may access it. Group read access is
// allowed, because Kubernetes and systemd pass files to a service that way.
func ReadPrivate(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("other users can access %s (mode %04o): run chmod 600 on it", path, mode)
	}
	return io.ReadAll(f)
}
