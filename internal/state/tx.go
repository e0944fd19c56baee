package state

import (
	"bytes"
	"iter"

	"go.etcd.io/bbolt"
)

// A Tx is a transaction on the state file, for [File.View] and [File.Update].
type Tx struct {
	tx      *bbolt.Tx
	writes  int
	keys    uint64 // sum of all keys, see survey
	changes changes
	job     *job // the running job; nil in a View
	spent   bool // there is no reserve
}

// Bucket returns a named part of the file, which need not exist yet. Bucket names start
// with the name of the package that uses them.
func (tx *Tx) Bucket(name string) Bucket {
	return Bucket{tx, name, tx.tx.Bucket([]byte(name))}
}

// Writable reports whether this is a [File.Update]. Its reads see its own writes, which
// may not be committed in the end.
func (tx *Tx) Writable() bool { return tx.tx.Writable() }

// GiveUpReserve makes an [File.UpdateReserved] an ordinary Update from here on. It
// returns ErrFull if the reserve is spent, as an Update would have before it began.
func (tx *Tx) GiveUpReserve() error {
	if tx.job == nil || !tx.job.reserved {
		return nil
	}
	if tx.spent {
		return ErrFull
	}
	tx.job.gaveUp = true
	return nil
}

// A Bucket is a named part of the file: keys in bytewise order, with values.
// Empty keys are not allowed; an empty value reads as nil.
type Bucket struct {
	tx   *Tx
	name string
	b    *bbolt.Bucket // nil as long as it does not exist
}

// Get returns the value of the key, nil if there is none.
func (b *Bucket) Get(key []byte) []byte {
	if b.b == nil {
		return nil
	}
	return b.b.Get(key)
}

// Put sets the value of the key. Key and value must stay as they are until
// the transaction ends.
func (b *Bucket) Put(key, value []byte) error {
	b.tx.writes++
	if b.b == nil {
		created, err := b.tx.tx.CreateBucketIfNotExists([]byte(b.name))
		if err != nil {
			return err
		}
		b.b = created
	}
	if b.b.Get(key) == nil {
		b.tx.keys += keyHash(b.name, key)
	}
	b.tx.changes.put(b.name, key, value)
	return b.b.Put(key, value)
}

// Delete removes the key; a missing one is no error.
func (b *Bucket) Delete(key []byte) error {
	if b.b == nil {
		return nil
	}
	b.tx.writes++
	if b.b.Get(key) == nil {
		return nil
	}
	b.tx.keys -= keyHash(b.name, key)
	b.tx.changes.remove(b.name, key)
	return b.b.Delete(key)
}

// Last returns the last key and its value, nil in an empty bucket.
func (b *Bucket) Last() (key, value []byte) {
	if b.b == nil {
		return nil, nil
	}
	return b.b.Cursor().Last()
}

// From goes through the keys in order, beginning with the first that is not
// before start.
func (b *Bucket) From(start []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		if b.b == nil {
			return
		}
		c := b.b.Cursor()
		for k, v := c.Seek(start); k != nil; k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// Prefix goes through the keys that begin with prefix, in order.
func (b *Bucket) Prefix(prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for k, v := range b.From(prefix) {
			if !bytes.HasPrefix(k, prefix) || !yield(k, v) {
				return
			}
		}
	}
}
