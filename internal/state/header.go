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

// SwapKeyring replaces the wrapped keyring if it is still before. It reports whether it
// was, and returns when the new one is on disk.
func (f *File) SwapKeyring(ctx context.Context, before, after []byte) (swapped bool, err error) {
	err = f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		if swapped = bytes.Equal(header.Get(keyringKey), before); !swapped {
			return nil
		}
		return header.Put(keyringKey, after)
	})
	return swapped && err == nil, err
}

// WatchKeyring is [File.Watch] for the wrapped keyring.
func (f *File) WatchKeyring(fn func(wrapped []byte)) {
	f.Watch(headerBucket, func(rows []Row) {
		for _, r := range rows {
			if bytes.Equal(r.Key, keyringKey) {
				fn(r.Value)
			}
		}
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
