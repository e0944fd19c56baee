package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mustOpenTerminal returns the two ends of a pseudo-terminal (pts(4)).
func mustOpenTerminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	mustWork(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	mustWork(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	mustWork(t, err)
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	mustWork(t, err)
	t.Cleanup(func() { _ = theirs.Close() })
	return ours, theirs
}

func TestBackupIsNotWrittenToATerminal(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	_, terminal := mustOpenTerminal(t)
	cmd := command(t, "backup", "--out", "-", "--config", i.config())
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = terminal, &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "--out: standard output is a terminal: redirect it, or add --force") {
		t.Errorf("got %v, %s", err, stderr.String())
	}
}

func TestBackupIsWrittenToATerminalIfForced(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	ours, terminal := mustOpenTerminal(t)
	cmd := command(t, "backup", "--out", "-", "--force", "--config", i.config())
	cmd.Stdout = terminal
	mustWork(t, cmd.Start())
	mustWork(t, terminal.Close())
	shown, err := io.Copy(io.Discard, ours) // ends with EIO when the other end is closed
	if shown == 0 || err != nil && !errors.Is(err, syscall.EIO) {
		t.Errorf("%d bytes were written, %v", shown, err)
	}
	mustWork(t, cmd.Wait())
}
