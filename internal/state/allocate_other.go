//go:build !linux

package state

import "os"

// allocate reserves size bytes on the disk for the file.
func allocate(file *os.File, size int64) error { return allocateByWriting(file, size) }
