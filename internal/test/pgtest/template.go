package pgtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// createData makes the data directory, a copy of a template in the user's cache.
func (s *Server) createData() error {
	template, err := templateDir()
	if err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-R", template, s.data()).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w: %s", template, err, out)
	}
	return ownAll(s.data())
}

// templateDir returns a data directory that initdb has made, once for each version of
// PostgreSQL on this machine.
func templateDir() (string, error) {
	out, err := command("postgres", "--version").Output()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "strongroom-pgtest", strings.ReplaceAll(strings.TrimSpace(string(out)), " ", "-"))
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, initdb(dir)
}

func initdb(dir string) (err error) {
	// The other user cannot write the cache.
	work, err := os.MkdirTemp("", "pgtest-init-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	passwordFile := filepath.Join(work, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return err
	}
	if err := errors.Join(own(work), own(passwordFile)); err != nil {
		return err
	}
	made := filepath.Join(work, "data")
	cmd := command("initdb", "-D", made, "-U", superuser, "--pwfile", passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	if out, err := exec.Command("cp", "-R", made, dir+".new").CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w: %s", made, err, out)
	}
	return os.Rename(dir+".new", dir)
}

// lock waits for other processes, because go test runs packages in parallel.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func ownAll(root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, own(path))
	})
}
