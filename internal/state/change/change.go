// Package change encodes change sets: the rows that one commit puts and deletes. The
// state file is the result of all its change sets, applied in order.
//
// Start reading at [Append]. A [Chain] authenticates the sets and their order.
package change

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A Row is one row that a commit puts, or deletes if Value is nil.
type Row struct {
	Bucket     string
	Key, Value []byte
}

// A Record is an encoded change set in a log.
type Record struct {
	Seq     uint64 // consecutive numbers, from 1
	Chain   Chain  // see [Chain.Next]
	Content []byte
}

// ErrMalformed means that bytes are not an encoded change set.
var ErrMalformed = errors.New("the change set is malformed")

// Append appends the encoding of a set to b. The rows must be sorted by bucket and key,
// each only once:
//
//	number of buckets, then for each:
//	    name's length ‖ name ‖ number of rows, then for each:
//	        key's length ‖ key ‖ value's length + 1 ‖ value, or 0 for a deletion
//
// Numbers are uvarints of encoding/binary.
func Append(b []byte, rows []Row) []byte {
	buckets := 0
	for i := range rows {
		if i == 0 || rows[i].Bucket != rows[i-1].Bucket {
			buckets++
		}
	}
	b = appendNumber(b, buckets)
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r Row) bool { return r.Bucket != rows[0].Bucket })
		if n < 0 {
			n = len(rows)
		}
		b = append(appendNumber(b, len(rows[0].Bucket)), rows[0].Bucket...)
		b = appendNumber(b, n)
		for _, r := range rows[:n] {
			b = appendRow(b, r)
		}
		rows = rows[n:]
	}
	return b
}

func appendRow(b []byte, r Row) []byte {
	b = append(appendNumber(b, len(r.Key)), r.Key...)
	if r.Value == nil {
		return appendNumber(b, 0)
	}
	return append(appendNumber(b, len(r.Value)+1), r.Value...)
}

func appendNumber(b []byte, n int) []byte {
	return binary.AppendUvarint(b, uint64(n)) // #nosec G115 -- a length is not negative
}

// Decode returns the rows of an encoded set. Keys and values are parts of b. It accepts
// only the encodings that [Append] makes. Error: ErrMalformed.
func Decode(b []byte) ([]Row, error) {
	d := decoder{left: b}
	d.set()
	if d.failed || len(d.left) > 0 {
		return nil, ErrMalformed
	}
	return d.rows, nil
}
