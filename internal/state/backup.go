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

// WriteTo writes a copy of the file as of one commit, while others follow. As
// long as it takes, the file cannot reuse the room of what is changed, and
// once it has to be mapped anew writers and then readers wait: whatever is
// slower than a disk wants a temporary file in between.
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

// Restore makes a state file of a copy that [File.WriteTo] wrote, under a name
// that must not be taken (or it is os.ErrExist). A copy that is not whole, or
// not of this format, leaves nothing. Made by root, it belongs to the owner of
// its directory.
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

// whole says what keeps a file from being a good copy. A commit that was torn
// is no excuse here.
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
