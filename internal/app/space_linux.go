package app

import "golang.org/x/sys/unix"

// space returns the free bytes for this process on the disk of the file, and its size;
// 0 if they cannot be determined.
func space(path string) (free, size int64) {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return 0, 0
	}
	return int64(fs.Bavail) * fs.Bsize, int64(fs.Blocks) * fs.Bsize // #nosec G115 -- disks have less than 2^63 bytes
}
