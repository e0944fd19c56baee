package state

import (
	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A boltTx writes to bbolt itself, for a checkpoint and the header.
type boltTx struct {
	tx   *bbolt.Tx
	keys uint64 // sum of all keys, see survey
}

func (tx *boltTx) apply(set []change.Row) error {
	for _, r := range set {
		if err := tx.set(r.Bucket, r.Key, r.Value); err != nil {
			return err
		}
	}
	return nil
}

// set puts a row, or deletes it if the value is nil.
func (tx *boltTx) set(bucket string, key, value []byte) error {
	b, err := tx.tx.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return err
	}
	had := b.Get(key) != nil
	switch {
	case value == nil && had:
		tx.keys -= keyHash(bucket, key)
		return b.Delete(key)
	case value == nil:
		return nil
	case !had:
		tx.keys += keyHash(bucket, key)
	}
	return b.Put(key, value)
}

func (tx *boltTx) header(key []byte) []byte {
	if b := tx.tx.Bucket([]byte(headerBucket)); b != nil {
		return b.Get(key)
	}
	return nil
}

func (tx *boltTx) putHeader(key, value []byte) error { return tx.set(headerBucket, key, value) }

// putApplied keeps the lineage of the file.
func (tx *boltTx) putApplied(at position) error {
	return tx.putHeader(appliedKey, encodeApplied([16]byte(tx.header(appliedKey)), at))
}

// putSum stores the sum of all keys, its own included. It comes last.
func (tx *boltTx) putSum() error {
	if tx.header(sumKey) == nil {
		if err := tx.putHeader(sumKey, sumBytes(0)); err != nil {
			return err
		}
	}
	return tx.putHeader(sumKey, sumBytes(tx.keys))
}
