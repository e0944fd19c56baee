package state

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/journal"
)

var _ io.WriterTo = (*File)(nil)

// WriteTo writes a snapshot of all acknowledged changes while later ones continue. It
// begins with a checkpoint, which needs room on the disk (ErrFull). Meanwhile the file
// cannot reuse freed pages, and if it must be remapped, checkpoints wait. A destination
// slower than a disk therefore needs a temporary file in between.
//
// The snapshot is for [Restore]: it is not complete without the journal unless that says
// so.
func (f *File) WriteTo(w io.Writer) (n int64, err error) {
	err = guarded(func() error {
		tx, _, err := f.snapshot([16]byte{})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		n, err = tx.WriteTo(w)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("copying the state file: %w", err)
	}
	return n, nil
}

// snapshot returns a transaction on bbolt at the end of a checkpoint, and describes its
// rows for this lineage, zero for the file's own.
func (f *File) snapshot(lineage [16]byte) (tx *bbolt.Tx, s Snapshot, err error) {
	if err := f.checkpoint(); err != nil {
		return nil, s, err
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	if err := f.moveLocked(); err != nil { // another one may have begun
		return nil, s, err
	}
	if tx, err = f.gen.Load().db.Begin(false); err != nil {
		return nil, s, err
	}
	own, at := (&boltTx{tx: tx}).applied()
	if lineage == ([16]byte{}) {
		lineage = own
	}
	return tx, Snapshot{f.id, lineage, Position{at.seq, at.chain}, f.auth.seal(lineage, at, at, f.sum)}, nil
}

// Restore creates a state file from a copy that [File.WriteTo] wrote, or one of an older
// format. The path must not exist (os.ErrExist). A journal that is left there from a lost
// state file is removed: it has only the last changes of that file. A copy that is
// incomplete, altered or of another format leaves no file. Run by root, the file belongs
// to the owner of its directory.
func Restore(path string, r io.Reader, unlock Unlock) error {
	err := safefile.Create(path, func(file *os.File) error {
		if _, err := io.Copy(file, r); err != nil {
			return err
		}
		if err := complete(file, unlock); err != nil {
			return err
		}
		return safefile.Remove(journal.Paths(path)...)
	})
	if err != nil {
		return fmt.Errorf("restoring the state file %s: %w", path, err)
	}
	return nil
}

// complete returns the defect of a copy, and otherwise makes it a complete file with a
// lineage of its own. Unlike in [Open], a torn commit is a defect.
func complete(file *os.File, unlock Unlock) error {
	damage, err := examine(file)
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
	h, err := readHeader(db)
	if err == nil {
		err = h.completeOn(db, file, unlock)
	}
	return errors.Join(err, db.Close())
}

// unlock opens the keyring in the file.
func (h *header) unlock(db *bbolt.DB, unlock Unlock) (Keys, error) {
	var wrapped []byte
	err := db.View(func(tx *bbolt.Tx) error {
		wrapped = bytes.Clone((&boltTx{tx: tx}).header(keyringKey))
		return nil
	})
	if err != nil {
		return Keys{}, err
	}
	return unlock.call(h.id, wrapped)
}

func (h *header) completeOn(db *bbolt.DB, file *os.File, unlock Unlock) error {
	keys, err := h.unlock(db, unlock)
	if err != nil {
		return err
	}
	auth := newAuthenticator(keys.MAC)
	sum, err := sumRows(db, file, keys.MAC)
	switch {
	case err != nil:
		return err
	case h.mac == nil && keys.Signed, h.mac != nil && !hmac.Equal(h.mac, auth.seal(h.lineage, h.applied, h.applied, sum)):
		return fmt.Errorf("%w, or the copy is not of a backup", ErrAltered)
	}
	return h.begin(db, auth, sum, func(tx *boltTx) error { return tx.putHeader(cacheKey, nil) })
}
