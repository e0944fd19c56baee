package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
)

// Create creates a state file with the keyring that wrap returns for the file's id. It
// never changes an existing file; the error is then os.ErrExist. A crash leaves the
// whole file or none, because the file gets its name only when it is on disk.
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
	err = safefile.Create(path, func(file *os.File) error { return write(file, hex.EncodeToString(id), keyring) })
	if err != nil {
		return fmt.Errorf("creating the state file %s: %w", path, err)
	}
	return nil
}

func write(file *os.File, id string, keyring []byte) (err error) {
	db, err := openDB(file)
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

// commitAgain writes the same state to the second meta page. If one of them is damaged
// later, the other does not lead back to an unfinished file.
func commitAgain(db *bbolt.DB) error {
	return db.Update(func(*bbolt.Tx) error { return nil })
}
