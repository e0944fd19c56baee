package state

import (
	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A boltTx writes to bbolt itself, for a checkpoint and the header.
type boltTx struct {
	tx   *bbolt.Tx
	auth *authenticator // nil for the header alone
	sum  rowSum         // of all rows
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
	before := b.Get(key)
	if tx.auth != nil && counts(bucket, key) {
		tx.exchange(bucket, key, before, value)
	}
	switch {
	case value != nil:
		return b.Put(key, value)
	case before != nil:
		return b.Delete(key)
	}
	return nil
}

// exchange replaces a row in the sum. A nil value means that there is no row.
func (tx *boltTx) exchange(bucket string, key, before, after []byte) {
	if before != nil {
		tx.sum.subtract(tx.auth.of(bucket, key, before))
	}
	if after != nil {
		tx.sum.add(tx.auth.of(bucket, key, after))
	}
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

// applied returns the lineage, and the position of the last change set in bbolt.
func (tx *boltTx) applied() (lineage [16]byte, at position) {
	h := header{}
	_ = h.readApplied(tx) // readHeader has checked it
	return h.lineage, h.applied
}
