//go:build !linux

package state

import "os"

func leadsTo(path string, file os.FileInfo) bool { return statLeadsTo(path, file) }
