package state

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves size bytes on the disk for the file.
func allocate(file *os.File, size int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return allocateByWriting(file, size)
	}
	return os.NewSyscallError("fallocate", err)
}
