package state

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// leadsTo is statLeadsTo, but asks for the inode alone. The kernel (6.13 and
// later) changes a file's times with the next write after somebody has looked
// at them, as os.Stat does, and not only once a tick; there are file systems
// where the commit then waits for the inode to be written, too.
func leadsTo(path string, file os.FileInfo) bool {
	var there unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &there); err != nil {
		return statLeadsTo(path, file) // where there is no statx, too
	}
	known := file.Sys().(*syscall.Stat_t)
	return there.Ino == known.Ino && unix.Mkdev(there.Dev_major, there.Dev_minor) == uint64(known.Dev)
}
