package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/bbolt"
)

// Create makes a new state file that holds the keyring which wrap returns for
// the id of the file. It never touches what is there already: the error is
// then one of [os.ErrExist]. A crash leaves the whole file or none, because it
// comes to its name only when it is on disk.
func Create(path string, wrap func(id string) ([]byte, error)) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("creating the state file %s: %w", path, os.ErrExist)
	}
	id := make([]byte, idBytes)
	_, _ = rand.Read(id)
	keyring, err := wrap(hex.EncodeToString(id))
	if err != nil {
		return err
	}
	err = place(path, func(draft string) error { return write(draft, hex.EncodeToString(id), keyring) })
	if err != nil {
		return fmt.Errorf("creating the state file %s: %w", path, err)
	}
	return nil
}

// place gives a file its name once write has brought it to the disk, unless
// the name is taken.
func place(path string, write func(draft string) error) error {
	number := make([]byte, 4)
	_, _ = rand.Read(number)
	draft := fmt.Sprintf("%s.%x.new", path, number)
	defer func() { _ = os.Remove(draft) }()
	if err := write(draft); err != nil {
		return err
	}
	// Unlike a rename, a link fails if somebody else was faster.
	if err := os.Link(draft, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func write(draft, id string, keyring []byte) (err error) {
	db, err := bbolt.Open(draft, 0o600, options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Update(func(btx *bbolt.Tx) error {
		tx := &Tx{tx: btx}
		header := tx.Bucket(headerBucket)
		return errors.Join(
			header.Put(versionKey, []byte(strconv.Itoa(FormatVersion))),
			header.Put(idKey, []byte(id)),
			header.Put(keyringKey, keyring),
			tx.putSum(),
		)
	})
	return errors.Join(err, commitAgain(db))
}

// commitAgain makes the second meta page show the same, so that whichever is
// damaged later, the other one does not lead back to an unfinished file.
func commitAgain(db *bbolt.DB) error {
	return db.Update(func(*bbolt.Tx) error { return nil })
}

// SyncDir makes the names in a directory durable: a file that is synced is not
// yet in it for good (fsync(2)).
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
