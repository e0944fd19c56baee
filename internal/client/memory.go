package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/secret"
)

// A MemoryDir is a directory on a file system in memory, for files with values. Only this user can open it.
type MemoryDir struct{ path string }

// TempDir returns a new MemoryDir below $XDG_RUNTIME_DIR or /dev/shm.
func TempDir() (*MemoryDir, error) {
	for _, base := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if base == "" || !inMemory(base) {
			continue
		}
		if path, err := os.MkdirTemp(base, "strongroom"); err == nil {
			return &MemoryDir{path}, nil
		}
	}
	return nil, errors.New("there is no file system in memory: set XDG_RUNTIME_DIR to a directory on a tmpfs")
}

// NewMemoryDir creates a directory, which must not exist.
func NewMemoryDir(path string) (*MemoryDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if !inMemory(filepath.Dir(path)) {
		return nil, fmt.Errorf("%s is on a disk, which would keep the values: choose a directory below /dev/shm or $XDG_RUNTIME_DIR", path)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	return &MemoryDir{path}, nil
}

func inMemory(path string) bool {
	var at unix.Statfs_t
	return unix.Statfs(path, &at) == nil && (at.Type == unix.TMPFS_MAGIC || at.Type == unix.RAMFS_MAGIC)
}

// Write replaces a file of the directory in one step, and returns its path.
func (d *MemoryDir) Write(name string, v secret.Value) (string, error) {
	path := filepath.Join(d.path, name)
	if err := os.WriteFile(path+".new", []byte(v), 0o600); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// Remove overwrites all files, also those that other programs have left there, and removes the directory.
func (d *MemoryDir) Remove() error {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f, err := root.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(make([]byte, info.Size()))
		return errors.Join(err, f.Close())
	})
	return errors.Join(err, root.Close(), os.RemoveAll(d.path))
}
