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

// What stands first in a state file, in this bucket.
const headerBucket = "state"

var (
	versionKey = []byte("version")
	idKey      = []byte("id")
	keyringKey = []byte("keyring")
)

const idBytes = 16

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
	draft := fmt.Sprintf("%s.%x.new", path, id[:4])
	defer func() { _ = os.Remove(draft) }()
	if err := write(draft, hex.EncodeToString(id), keyring); err != nil {
		return fmt.Errorf("creating the state file %s: %w", path, err)
	}
	// Unlike a rename, a link fails if somebody else was faster.
	if err := os.Link(draft, path); err != nil {
		return fmt.Errorf("creating the state file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func write(draft, id string, keyring []byte) (err error) {
	db, err := bbolt.Open(draft, 0o600, options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(btx *bbolt.Tx) error {
		header := (&Tx{tx: btx}).Bucket(headerBucket)
		return errors.Join(
			header.Put(versionKey, []byte(strconv.Itoa(FormatVersion))),
			header.Put(idKey, []byte(id)),
			header.Put(keyringKey, keyring),
		)
	})
}

// syncDir makes a new name in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readHeader returns the id of the file, once it knows that it can read it.
func readHeader(db *bbolt.DB) (id string, err error) {
	err = db.View(func(btx *bbolt.Tx) error {
		header := (&Tx{tx: btx}).Bucket(headerBucket)
		version, err := strconv.Atoi(string(header.Get(versionKey)))
		if err != nil {
			return errors.New("it is not a state file of Strongroom")
		}
		if version != FormatVersion {
			return fmt.Errorf("it has format %d, and this version of Strongroom reads format %d", version, FormatVersion)
		}
		id = string(header.Get(idKey))
		return nil
	})
	return id, err
}

// Keyring returns the wrapped keyring.
func (f *File) Keyring() (wrapped []byte, err error) {
	err = f.View(func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		wrapped = append(wrapped, header.Get(keyringKey)...)
		return nil
	})
	return wrapped, err
}
