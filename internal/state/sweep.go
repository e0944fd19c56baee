package state

import (
	"bytes"
	"context"
)

// sweepRows bounds how many rows one transaction of a sweep looks at, so that
// others do not wait for long.
const sweepRows = 64

// Sweep calls fn for every row of a bucket, in the order of their keys, a few to
// a transaction: others read and write in between, and what they put behind the
// sweep it does not see. fn may write; what it is given are copies. A transaction
// that starts over calls fn again for its rows. After each one, progress is
// called with the number of rows so far.
//
// The first error of fn ends the sweep, with what earlier transactions did
// left done. Other errors: those of [File.Update].
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

// step returns copies of some rows, and the key to go on from, nil at the end.
func (b *Bucket) step(from []byte) (rows []row, next []byte) {
	for key, value := range b.From(from) {
		if len(rows) == sweepRows {
			return rows, bytes.Clone(key)
		}
		rows = append(rows, row{bytes.Clone(key), bytes.Clone(value)})
	}
	return rows, nil
}
