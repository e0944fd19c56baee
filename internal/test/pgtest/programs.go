package pgtest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// require skips the test where PostgreSQL is not installed.
func require(t testing.TB) {
	t.Helper()
	for _, name := range []string{"postgres", "initdb", "psql"} {
		if _, err := program(name); err != nil {
			t.Skipf("POSTGRESQL IS NOT TESTED: %v: install Debian's package postgresql", err)
		}
	}
}

// program returns the path of one of PostgreSQL's programs: those of Debian's newest
// version, which are not in PATH, or else in PATH.
func program(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return exec.LookPath(name)
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

// version returns the version in the path of a program of Debian's.
func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// command returns a command that runs one of PostgreSQL's programs as another user than
// root.
func command(name string, args ...string) *exec.Cmd {
	path, err := program(name)
	if err != nil {
		path = name // the start of the command says that it is missing
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential()}
	return cmd
}

// credential returns the user that the servers run as, because PostgreSQL does not run as
// root. It is nil for the user of this process.
func credential() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

// own gives a file to the user that the servers run as.
func own(path string) error {
	c := credential()
	if c == nil {
		return nil
	}
	return os.Lchown(path, int(c.Uid), int(c.Gid))
}

// freePort returns a port below those that the kernel gives to outgoing connections, so
// that no connection takes it while the server is down.
func freePort() (port int, err error) {
	for range 100 {
		port = 20000 + rand.IntN(12000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// newGuard starts a process that waits until this process has ended or the guard is
// closed. Then it ends the server whose number is in the file pid of the directory, and
// removes the directory.
func newGuard(dir string) (io.Closer, error) {
	const script = `read -r line; cd "$1" || exit
		if pid=$(head -n 1 pid) && kill -QUIT "$pid"; then while kill -0 "$pid"; do sleep 0.1; done; fi
		cd / && rm -rf "$1"`
	cmd := exec.Command("sh", "-c", script, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential()}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return guard{stdin, cmd}, nil
}

type guard struct {
	stdin io.Closer
	cmd   *exec.Cmd
}

func (g guard) Close() error {
	_ = g.stdin.Close()
	return g.cmd.Wait()
}
