package change

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// ErrMalformed means that bytes are not an encoded change set.
var ErrMalformed = errors.New("the change set is malformed")

// Append appends the encoded set to b. Equal sets have equal encodings:
//
//	number of buckets, then for each, sorted by name:
//	    name's length ‖ name ‖ number of rows, then for each, sorted by key:
//	        key's length ‖ key ‖ value's length + 1 ‖ value, or 0 for a deletion
//
// Numbers are uvarints of encoding/binary. The set must not change afterwards.
func (s *Set) Append(b []byte) []byte {
	rows := s.Rows()
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
		b = appendNumber(append(appendNumber(b, len(rows[0].Bucket)), rows[0].Bucket...), n)
		for _, r := range rows[:n] {
			b = append(appendNumber(b, len(r.Key)), r.Key...)
			if r.Value == nil {
				b = appendNumber(b, 0)
				continue
			}
			b = append(appendNumber(b, len(r.Value)+1), r.Value...)
		}
		rows = rows[n:]
	}
	return b
}

func appendNumber(b []byte, n int) []byte {
	return binary.AppendUvarint(b, uint64(n)) // #nosec G115 -- a length is not negative
}

// Decode returns the rows of an encoded set, sorted by bucket and key. Keys and values
// are parts of b. It accepts only what [Set.Append] writes. Error: ErrMalformed.
func Decode(b []byte) ([]Row, error) {
	d := decoder{left: b}
	d.set()
	if d.failed || len(d.left) > 0 {
		return nil, ErrMalformed
	}
	return d.rows, nil
}

type decoder struct {
	left   []byte
	rows   []Row
	failed bool
}

func (d *decoder) set() {
	name := ""
	for range d.number() {
		next := string(d.bytes(d.number()))
		if d.failed || next <= name {
			d.failed = true
			return
		}
		name = next
		d.bucket(name)
	}
}

func (d *decoder) bucket(name string) {
	rows := d.number()
	if rows == 0 {
		d.failed = true
	}
	var key []byte
	for range rows {
		next := d.bytes(d.number())
		if d.failed || bytes.Compare(next, key) <= 0 {
			d.failed = true
			return
		}
		key = next
		d.rows = append(d.rows, Row{name, key, d.value()})
	}
}

func (d *decoder) value() []byte {
	n := d.number()
	if n == 0 {
		return nil
	}
	return d.bytes(n - 1)
}

// number reads a number, at most that of the bytes left, since each counts something
// that takes a byte or more.
func (d *decoder) number() uint64 {
	n, length := binary.Uvarint(d.left)
	padded := length > 1 && d.left[length-1] == 0
	if length <= 0 || padded || n > uint64(len(d.left)) {
		d.failed, d.left = true, nil
		return 0
	}
	d.left = d.left[length:]
	return n
}

func (d *decoder) bytes(n uint64) []byte {
	if d.failed || n > uint64(len(d.left)) {
		d.failed = true
		return nil
	}
	b := d.left[:n:n]
	d.left = d.left[n:]
	return b
}
