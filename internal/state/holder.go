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
	"github.com/strongroom/strongroom/internal/state/journal"
)

// A HeldError means that another process has the state file open.
type HeldError struct {
	Path string
	By   string // for example "process 4711 on host alpha since …"
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the state file %s is held by %s", e.Path, e.By)
}

// lock takes the lock that bbolt takes too, on the state file itself. The kernel
// releases it with the process. The file beside it only names the process.
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
	return append([]string{path, holderPath(path)}, journal.Paths(path)...)
}

func holderPath(path string) string { return path + ".holder" }

// noteHolder ignores errors, because its file is only informative.
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

// holderForm is the form of noteHolder's text. Other users may be able to write the
// file, so no other text is shown on a terminal.
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
