package state

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
)

var _ io.WriterTo = (*File)(nil)

// WriteTo writes a snapshot of one commit while later commits continue. Meanwhile the
// file cannot reuse freed pages, and if it must be remapped, writers and then readers
// wait. A destination slower than a disk therefore needs a temporary file in between.
func (f *File) WriteTo(w io.Writer) (n int64, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(w)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("copying the state file: %w", err)
	}
	return n, nil
}

// Restore creates a state file from a copy that [File.WriteTo] wrote. The path must
// not exist (os.ErrExist). An incomplete copy, or one of another format, leaves no
// file. Run by root, the file belongs to the owner of its directory.
func Restore(path string, r io.Reader) error {
	err := safefile.Create(path, func(file *os.File) error {
		if _, err := io.Copy(file, r); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		return whole(file)
	})
	if err != nil {
		return fmt.Errorf("restoring the state file %s: %w", path, err)
	}
	return nil
}

// whole returns the defect of a copy. Unlike in [Open], a torn commit is one.
func whole(file *os.File) error {
	_, damage, err := examine(file)
	if err != nil {
		return err
	}
	if damage != "" {
		return damaged("%s", damage)
	}
	db, err := openDB(file)
	if err != nil {
		return err
	}
	_, err = readHeader(db)
	return errors.Join(err, db.Close())
}
