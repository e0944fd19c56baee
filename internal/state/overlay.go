package state

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"unsafe"

	"github.com/tidwall/btree"
	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// rows are changed rows of one bucket by key; nil is the value of a deleted row.
type rows = btree.Map[string, []byte]

// An overlay has the rows that have changed since a checkpoint, by bucket. Once it is
// part of a generation it never changes.
type overlay map[string]*rows

// with returns the overlay after change sets. It shares most of its memory with o.
func (o overlay) with(sets []unflushed) overlay {
	next := maps.Clone(o)
	for _, u := range sets {
		for _, r := range u.set {
			if old := o[r.Bucket]; old != nil && next[r.Bucket] == old {
				next[r.Bucket] = old.Copy()
			}
		}
		next.apply(u.set)
	}
	return next
}

// apply changes the overlay, which must not be part of a generation.
func (o overlay) apply(set []change.Row) {
	for _, r := range set {
		tree := o[r.Bucket]
		if tree == nil {
			tree = new(rows)
			o[r.Bucket] = tree
		}
		tree.Set(asString(r.Key), r.Value)
	}
}

// sorted returns all rows, sorted by bucket and key.
func (o overlay) sorted() (all []change.Row) {
	n := 0
	for _, tree := range o {
		n += tree.Len()
	}
	all = make([]change.Row, 0, n)
	for _, bucket := range slices.Sorted(maps.Keys(o)) {
		o[bucket].Scan(func(key string, value []byte) bool {
			all = append(all, change.Row{Bucket: bucket, Key: asBytes(key), Value: value})
			return true
		})
	}
	return all
}

// asString and asBytes share memory, which never changes.
func asString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) // #nosec G103 -- keys do not change
}

func asBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) // #nosec G103 -- callers do not write to keys
}

// A source is a sorted sequence of rows in one direction, at its current row.
type source struct {
	key, value []byte // key is nil at the end; value is nil for a deleted row
	step       func() (key, value []byte)
}

func (s *source) next() { s.key, s.value = s.step() }

// upward returns the rows of the tree from start on.
func upward(tree *rows, start []byte) *source {
	it := tree.Iter()
	found := it.Seek(asString(start))
	return newSource(&it, found, it.Next)
}

// downward returns the rows of the tree, beginning with the last.
func downward(tree *rows) *source {
	it := tree.Iter()
	found := it.Last()
	return newSource(&it, found, it.Prev)
}

func newSource(it *btree.MapIter[string, []byte], found bool, move func() bool) *source {
	read := func() (key, value []byte) {
		if !found {
			return nil, nil
		}
		key, value = asBytes(it.Key()), it.Value()
		found = move()
		return key, value
	}
	s := &source{step: read}
	s.next()
	return s
}

func boltUpward(b *bbolt.Bucket, start []byte) *source {
	c := b.Cursor()
	s := &source{step: c.Next}
	s.key, s.value = c.Seek(start)
	return s
}

func boltDownward(b *bbolt.Bucket) *source {
	c := b.Cursor()
	s := &source{step: c.Prev}
	s.key, s.value = c.Last()
	return s
}

// merge goes through the rows of all sources, which have the same direction: 1 for
// ascending keys, -1 for descending. A row of an earlier source hides those with its key
// in later ones.
func merge(direction int, sources []*source) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for {
			var first *source
			for _, s := range sources {
				if s.key != nil && (first == nil || direction*bytes.Compare(s.key, first.key) < 0) {
					first = s
				}
			}
			if first == nil {
				return
			}
			key, value := first.key, first.value
			for _, s := range sources {
				if s.key != nil && bytes.Equal(s.key, key) {
					s.next()
				}
			}
			if value != nil && !yield(key, value) {
				return
			}
		}
	}
}
