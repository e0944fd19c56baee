package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/safefile"
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

// Files returns the paths of a state file and of the files that opening it
// leaves beside it.
func Files(path string) []string {
	path = safefile.Follow(path)
	return []string{path, holderPath(path), reservePath(path)}
}

func holderPath(path string) string { return path + ".holder" }

// noteHolder is not important enough to fail: a directory that cannot be
// written has been noticed by bbolt, if it matters.
func noteHolder(path string) {
	host, _ := os.Hostname()
	who := fmt.Sprintf("process %d on host %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	file, err := safefile.OpenOwn(holderPath(path), os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return
	}
	_ = errors.Join(file.Truncate(0), writeAll(file, who), file.Close())
}

func writeAll(file *os.File, text string) error {
	_, err := file.WriteString(text)
	return err
}

// holderForm is what noteHolder writes. The file may be written by others than
// those who read the message on their terminal, so nothing else is shown.
var holderForm = regexp.MustCompile(`^process [0-9]{1,10} on host [A-Za-z0-9._-]{0,255} since [0-9TZ:-]{1,30}\n$`)

func heldBy(path string) error {
	file, err := safefile.OpenOwn(holderPath(path), os.O_RDONLY)
	if err != nil {
		return &HeldError{path, "another process"}
	}
	defer func() { _ = file.Close() }()
	who, err := io.ReadAll(io.LimitReader(file, 512))
	if err != nil || !holderForm.Match(who) {
		return &HeldError{path, "another process"}
	}
	return &HeldError{path, strings.TrimSpace(string(who))}
}
