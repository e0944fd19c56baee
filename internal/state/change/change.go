// Package change encodes change sets: the rows that one commit puts and deletes. The
// state file is the result of all its change sets, applied in order.
//
// Start reading at [Set].
package change

import (
	"cmp"
	"slices"
)

// A Row is one row that a commit puts, or deletes if Value is nil.
type Row struct {
	Bucket     string
	Key, Value []byte
}

// A Set is the rows of one commit. Of several changes of a row it keeps the last one.
// The zero Set is empty. It is not safe for concurrent use.
type Set struct {
	rows []Row
	at   map[place]int // position in rows
	size int
}

type place struct{ bucket, key string }

// Put adds a row. The set keeps both slices, which must not change any more. A nil value
// counts as an empty one.
func (s *Set) Put(bucket string, key, value []byte) {
	if value == nil {
		value = []byte{}
	}
	s.add(Row{bucket, key, value})
}

// Delete adds the deletion of a row. The set keeps the key, which must not change any
// more.
func (s *Set) Delete(bucket string, key []byte) { s.add(Row{Bucket: bucket, Key: key}) }

func (s *Set) add(r Row) {
	at := place{r.Bucket, string(r.Key)}
	if i, ok := s.at[at]; ok {
		s.size += len(r.Value) - len(s.rows[i].Value)
		s.rows[i] = r
		return
	}
	if s.at == nil {
		s.at = map[place]int{}
	}
	s.at[at] = len(s.rows)
	s.rows = append(s.rows, r)
	s.size += len(r.Bucket) + len(r.Key) + len(r.Value)
}

// Len returns the number of rows.
func (s *Set) Len() int { return len(s.rows) }

// Size returns the total length of buckets' names, keys and values in bytes, an estimate
// of the memory that the set takes.
func (s *Set) Size() int { return s.size }

// Rows returns the rows, sorted by bucket and key. The set must not change afterwards.
func (s *Set) Rows() []Row {
	if !slices.IsSortedFunc(s.rows, order) {
		slices.SortFunc(s.rows, order)
		s.at = nil
	}
	return s.rows
}

func order(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), slices.Compare(a.Key, b.Key))
}
