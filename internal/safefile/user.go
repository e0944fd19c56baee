package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is the number of symbolic links that the kernel follows (path_resolution(7)).
const maxLinks = 40

// A User is the user for which this process accesses a path, with that user's rights. The zero User is the
// user of the process.
type User struct {
	uid, gid int
	path     string // the path component that this user owns; empty for the zero User
}

// OwnerOf returns the user that controls the target of a path. For root it is the owner of
// the first directory, symbolic link or file on the way that root does not own: from
// there on, that user can replace every component. For any other user, and if root owns
// all components, it is the zero User. A missing component is skipped, so its parent
// directories decide.
func OwnerOf(path string) (User, error) {
	if os.Geteuid() != 0 {
		return User{}, nil
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return User{}, err
		}
		path = wd + "/" + path
	}
	here, rest := "/", strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(here, name) // this includes "." and "..", which are not links
		info, err := os.Lstat(next)
		if errors.Is(err, os.ErrNotExist) {
			return User{}, nil
		}
		if err != nil {
			return User{}, err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 {
			return User{int(st.Uid), int(st.Gid), next}, nil
		}
		if info.Mode()&os.ModeSymlink == 0 {
			here = next
			continue
		}
		target, err := os.Readlink(next)
		if err != nil {
			return User{}, err
		}
		if links++; links > maxLinks {
			return User{}, &os.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			here = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return User{}, nil
}

// Do runs fn with the user's file access rights, and files that fn creates belong to that
// user. Other goroutines, including those that fn starts, keep the rights of the process.
// Open files stay usable.
func (u User) Do(fn func() error) error {
	if u.path == "" {
		return fn()
	}
	err := doAs(u.uid, u.gid, fn)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w (as user %d, who owns %s)", err, u.uid, u.path)
	}
	return err
}

func asOwner(path string, fn func() error) error {
	u, err := OwnerOf(path)
	if err != nil {
		return err
	}
	return u.Do(fn)
}
