//go:build !linux

package main

import "os"

// fdatasync waits until the file is on disk, which is a little more than on
// Linux.
func fdatasync(f *os.File) error { return f.Sync() }
