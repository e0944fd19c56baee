package state

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate makes sure that the file has so many bytes of its own on the disk.
func allocate(file *os.File, size int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return allocateByWriting(file, size)
	}
	return os.NewSyscallError("fallocate", err)
}
