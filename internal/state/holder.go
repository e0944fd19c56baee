package state

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A HeldError means that another process has the state file open.
type HeldError struct {
	Path string
	By   string // as in "process 4711 on host alpha since …"
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the state file %s is held by %s", e.Path, e.By)
}

// lock is the one that bbolt takes as well, on the state file itself, and goes
// with its process. The file beside it only says who to ask about it.
func lock(file *os.File) error {
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockTimeout / 10) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case !errors.Is(err, unix.EWOULDBLOCK):
			return os.NewSyscallError("flock", err)
		case time.Now().After(deadline):
			return heldBy(file.Name())
		}
	}
}

func holderPath(path string) string { return path + ".holder" }

func noteHolder(path string, self os.FileInfo) {
	host, _ := os.Hostname()
	who := fmt.Sprintf("process %d on host %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	// Nothing depends on it: a directory in which it cannot be written has
	// been noticed by bbolt, if it matters.
	file, err := os.OpenFile(holderPath(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	_, _ = file.WriteString(who)
	_ = errors.Join(giveTo(self, file), file.Close())
}

func heldBy(path string) error {
	who, err := os.ReadFile(holderPath(path))
	if err != nil {
		who = []byte("another process")
	}
	return &HeldError{path, strings.TrimSpace(string(who))}
}
