package state

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// leadsTo is statLeadsTo, but asks for the inode alone. Since Linux 6.13, reading a
// file's times, as os.Stat does, makes the next write update them at once instead of
// once per tick. Where fdatasync then writes the inode, as on ext4 without a journal,
// every commit would wait for that write too.
func leadsTo(path string, file os.FileInfo) bool {
	var there unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &there)
	if err != nil || there.Mask&unix.STATX_INO == 0 {
		return statLeadsTo(path, file) // it also works without statx
	}
	known := file.Sys().(*syscall.Stat_t)
	return there.Ino == known.Ino && unix.Mkdev(there.Dev_major, there.Dev_minor) == uint64(known.Dev)
}
