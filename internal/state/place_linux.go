package state

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// leadsTo is statLeadsTo, but asks for the inode alone. Since Linux 6.13 a file
// whose times somebody has looked at, as os.Stat does, gets new ones with the
// very next write, and not only once a tick. Where each fdatasync then writes
// the inode, as on ext4 without a journal, every commit would wait for that.
func leadsTo(path string, file os.FileInfo) bool {
	var there unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &there)
	if err != nil || there.Mask&unix.STATX_INO == 0 {
		return statLeadsTo(path, file) // which knows why, and where there is no statx, too
	}
	known := file.Sys().(*syscall.Stat_t)
	return there.Ino == known.Ino && unix.Mkdev(there.Dev_major, there.Dev_minor) == uint64(known.Dev)
}
