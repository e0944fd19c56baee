package state

import (
	"bytes"
	"errors"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A Tx is a transaction on the state file, for [File.View] and [File.Update]. It reads
// from its own writes, then from changes that are not flushed, then from the overlays of a
// generation, then from bbolt.
type Tx struct {
	bolt   *bbolt.Tx // for reading only
	gen    *generation
	found  []boltBucket // of bolt, because bbolt searches for a bucket each time
	own    overlay      // its writes; nil in a View
	behind overlay      // changes that are not flushed; nil in a View
	during overlay      // those of them that are being flushed: see meanwhile.go
	scans  int          // in progress
	writes int
	began  int  // writes before the running job
	later  int  // writes when the running job called FlushLater, -1 if it has not
	early  bool // the running job has read what is being flushed
	flush  bool // a job before the running one has to be flushed
	job    *job // the running job; nil in a View
	full   bool // ordinary changes are refused
}

type boltBucket struct {
	name   string
	bucket *bbolt.Bucket
}

// Bucket returns a named part of the file, which need not exist yet. Bucket names start
// with the name of the package that uses them.
func (tx *Tx) Bucket(name string) Bucket {
	return Bucket{tx, name, tx.behind[name], tx.gen.live[name], tx.gen.frozen[name]}
}

// bolt returns the part of the bucket that is in bbolt, nil for none.
func (b *Bucket) bolt() *bbolt.Bucket {
	for _, found := range b.tx.found {
		if found.name == b.name {
			return found.bucket
		}
	}
	bolt := b.tx.bolt.Bucket([]byte(b.name))
	b.tx.found = append(b.tx.found, boltBucket{b.name, bolt})
	return bolt
}

// Writable reports whether this is a [File.Update]. Its reads see its own writes, which
// may not be committed in the end.
func (tx *Tx) Writable() bool { return tx.own != nil }

// GiveUpReserve makes an [File.UpdateReserved] an ordinary Update from here on. It
// returns ErrFull if the reserve is in use, as an Update would have before it began.
func (tx *Tx) GiveUpReserve() error {
	if tx.job == nil || !tx.job.reserved {
		return nil
	}
	if tx.full {
		return ErrFull
	}
	tx.job.gaveUp = true
	return nil
}

// Changed reports whether this call of [File.Update] has written something.
func (tx *Tx) Changed() bool { return tx.writes > tx.began }

// FlushLater says that the writes of this call of [File.Update] so far need not be on disk
// when it returns: see later.go. Any further write of the call makes it wait for the disk.
func (tx *Tx) FlushLater() { tx.later = tx.writes }

// A Bucket is a named part of the file: keys in bytewise order, with values.
// Empty keys are not allowed; an empty value is not nil.
type Bucket struct {
	tx                   *Tx
	name                 string
	behind, live, frozen *rows // nil for none
}

// Get returns the value of the key, nil if there is none.
func (b *Bucket) Get(key []byte) []byte {
	if rows := b.tx.during[b.name]; rows != nil {
		_, found := rows.Get(asString(key))
		b.tx.early = b.tx.early || found
	}
	return b.Latest(key)
}

// Latest is Get for a row that only continues a sequence, such as the head of a log. A
// change that is flushed later may follow one that is being flushed, but must not show it.
func (b *Bucket) Latest(key []byte) []byte {
	for _, tree := range [...]*rows{b.tx.own[b.name], b.behind, b.live, b.frozen} {
		if tree == nil {
			continue
		}
		if value, ok := tree.Get(asString(key)); ok {
			return value
		}
	}
	if bolt := b.bolt(); bolt != nil {
		return bolt.Get(key)
	}
	return nil
}

var (
	errReadOnly = errors.New("a View cannot write")
	errEmptyKey = errors.New("a row needs a key")
)

// Put sets the value of the key.
func (b *Bucket) Put(key, value []byte) error {
	if len(key) == 0 {
		return errEmptyKey
	}
	// Copies, because the row outlives the transaction.
	row := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	return b.set(row[:len(key):len(key)], row[len(key):])
}

// Delete removes the key; a missing one is no error.
func (b *Bucket) Delete(key []byte) error {
	_, err := b.Take(key)
	return err
}

// Take removes the key and returns the value that it had, nil if it was missing.
func (b *Bucket) Take(key []byte) (value []byte, err error) {
	if value = b.Get(key); value == nil {
		return nil, nil
	}
	return value, b.set(bytes.Clone(key), nil)
}

func (b *Bucket) set(key, value []byte) error {
	if !b.tx.Writable() {
		return errReadOnly
	}
	tree := b.tx.own[b.name]
	switch {
	case tree == nil:
		tree = new(rows)
	case b.tx.scans > 0: // which may go through the tree
		tree = tree.Copy()
	}
	b.tx.own[b.name] = tree
	tree.Set(asString(key), value)
	b.tx.writes++
	return nil
}

// Last returns the last key and its value, nil in an empty bucket.
func (b *Bucket) Last() (key, value []byte) {
	var sources []*source
	for _, tree := range b.trees() {
		sources = append(sources, downward(tree))
	}
	if bolt := b.bolt(); bolt != nil {
		sources = append(sources, boltDownward(bolt))
	}
	for key, value := range merge(-1, sources) {
		return key, value
	}
	return nil, nil
}

// From goes through the keys in order, beginning with the first that is not
// before start. It does not visit what the transaction writes meanwhile.
func (b *Bucket) From(start []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var sources []*source
		for _, tree := range b.trees() {
			sources = append(sources, upward(tree, start))
		}
		if bolt := b.bolt(); bolt != nil {
			sources = append(sources, boltUpward(bolt, start))
		}
		b.tx.scans++
		defer func() { b.tx.scans-- }()
		merge(1, sources)(yield)
	}
}

// trees returns the overlays' rows, the newest first.
func (b *Bucket) trees() (all []*rows) {
	b.tx.early = b.tx.early || b.tx.during[b.name] != nil
	for _, tree := range [...]*rows{b.tx.own[b.name], b.behind, b.live, b.frozen} {
		if tree != nil {
			all = append(all, tree)
		}
	}
	return all
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

// changes returns the rows that the transaction has written.
func (tx *Tx) changes() []change.Row { return tx.own.sorted() }
