package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps memory contents out of core dumps, and away from other
// processes of the same user (prctl(2), PR_SET_DUMPABLE).
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switching off core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("switching off core dumps: %w", err)
	}
	return nil
}
