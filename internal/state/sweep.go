package state

import (
	"bytes"
	"context"
)

// sweepRows limits the rows in one transaction of a sweep, so that other changes do
// not wait long.
const sweepRows = 64

// Sweep calls fn for every row of a bucket, sorted by key, a few per transaction. Other
// transactions run in between; rows that they add behind the current position are not
// visited. fn may write, and gets copies. A transaction that starts over calls fn again
// for its rows. After each transaction, Sweep calls progress with the number of rows so
// far.
//
// The first error of fn ends the sweep; earlier transactions remain committed. Other
// errors: those of [File.Update].
func (f *File) Sweep(ctx context.Context, bucket string, fn func(tx *Tx, key, value []byte) error, progress func(rows int)) error {
	swept := 0
	for from := []byte{0}; from != nil; {
		var step []row
		var next []byte
		err := f.Update(ctx, func(tx *Tx) error {
			rows := tx.Bucket(bucket)
			step, next = rows.step(from)
			for _, r := range step {
				if err := fn(tx, r.key, r.value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		swept, from = swept+len(step), next
		progress(swept)
	}
	return nil
}

type row struct{ key, value []byte }

// step returns copies of some rows, and the key to continue from, nil at the end.
func (b *Bucket) step(from []byte) (rows []row, next []byte) {
	for key, value := range b.From(from) {
		if len(rows) == sweepRows {
			return rows, bytes.Clone(key)
		}
		rows = append(rows, row{bytes.Clone(key), bytes.Clone(value)})
	}
	return rows, nil
}
