package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/state"
)

// writeNew writes a file that must not exist yet, and makes it durable, or else
// leaves none.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close(), state.SyncDir(filepath.Dir(path)))
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
