//go:build !linux

package state

import "os"

// allocate makes sure that the file has so many bytes of its own on the disk.
func allocate(file *os.File, size int64) error { return allocateByWriting(file, size) }
