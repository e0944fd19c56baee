package change

import (
	"bytes"
	"encoding/binary"
)

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
