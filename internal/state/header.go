package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// The header of a state file is in this bucket.
const headerBucket = "state"

var (
	versionKey = []byte("version")
	idKey      = []byte("id")
	keyringKey = []byte("keyring")
	sumKey     = []byte("keys") // the sum of all keys, this one included: see survey
)

const idBytes = 16

// readHeader checks the format version and returns the id of the file.
func readHeader(db *bbolt.DB) (id string, err error) {
	read := func(btx *bbolt.Tx) error {
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
	}
	err = guarded(func() error { return db.View(read) })
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

// SetKeyring replaces the wrapped keyring and returns when it is on disk.
func (f *File) SetKeyring(ctx context.Context, wrapped []byte) error {
	return f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		return header.Put(keyringKey, wrapped)
	})
}

// putSum stores the sum of all keys, its own included.
func (tx *Tx) putSum() error {
	header := tx.Bucket(headerBucket)
	sum := tx.keys
	if header.Get(sumKey) == nil {
		sum += keyHash(headerBucket, sumKey)
	}
	if bytes.Equal(header.Get(sumKey), sumBytes(sum)) {
		return nil
	}
	return header.Put(sumKey, sumBytes(sum))
}
