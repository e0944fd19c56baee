package lastaccess

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The bucket of last accesses. Its name is part of the file format:
//
//	MAC(owner) (16) ‖ MAC(name) (16)  sealed last access, in JSON
//
// Files of earlier versions also have the row "audit", a position in the log, until the
// next reseal.
const (
	bucket   = "delivered"
	rowBytes = 2 * seal.MACBytes
)

var errDamaged = errors.New("its row is damaged or was moved from another place")

func (t *Tracker) ownerKey(owner secret.Owner) []byte {
	mac := t.ring.MAC(seal.Place("delivered owner", owner.Kind, owner.ID))
	return mac[:]
}

func (t *Tracker) rowKey(ref secret.Ref) []byte {
	mac := t.ring.MAC(seal.Place("delivered name", ref.Owner.Kind, ref.Owner.ID, ref.Name))
	return append(t.ownerKey(ref.Owner), mac[:]...)
}

func (t *Tracker) place(row []byte) []byte { return seal.Place("delivered", t.file.ID(), string(row)) }

func (t *Tracker) read(tx *state.Tx, ref secret.Ref) (last Access, ok bool, err error) {
	rows, row := tx.Bucket(bucket), t.rowKey(ref)
	sealed := rows.Get(row)
	if sealed == nil {
		return Access{}, false, nil
	}
	text, err := t.ring.Open(sealed, t.place(row))
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		return Access{}, false, fmt.Errorf("the last access of %s: %w", ref, errDamaged)
	}
	return last, true, nil
}

func (t *Tracker) write(tx *state.Tx, ref secret.Ref, last Access) error {
	text, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("encoding a last access: %w", err)
	}
	rows, row := tx.Bucket(bucket), t.rowKey(ref)
	return rows.Put(row, t.ring.Seal(text, t.place(row)))
}

// remove removes the row of a secret, or all rows of an owner.
func (t *Tracker) remove(tx *state.Tx, ref secret.Ref) error {
	prefix := t.ownerKey(ref.Owner)
	if ref.Name != "" {
		prefix = t.rowKey(ref)
	}
	rows := tx.Bucket(bucket)
	var gone [][]byte
	for row := range rows.Prefix(prefix) {
		gone = append(gone, bytes.Clone(row))
	}
	for _, row := range gone {
		if err := rows.Delete(row); err != nil {
			return err
		}
	}
	return nil
}

// Reseal seals rows under the primary key if they are sealed under another. It calls
// progress with the number of rows checked so far.
func (t *Tracker) Reseal(ctx context.Context, progress func(rows int)) error {
	return t.file.Sweep(ctx, bucket, t.resealRow, progress)
}

// resealRow deletes a row that cannot be opened: the audit log still has the access.
func (t *Tracker) resealRow(tx *state.Tx, row, sealed []byte) error {
	if t.ring.SealedByPrimary(sealed) {
		return nil
	}
	rows := tx.Bucket(bucket)
	text, err := t.ring.Open(sealed, t.place(row))
	if err != nil {
		return rows.Delete(row)
	}
	return rows.Put(row, t.ring.Seal(text, t.place(row)))
}

// Verify opens all rows and returns the problems.
func (t *Tracker) Verify() (problems []string, err error) {
	err = t.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			if len(row) != rowBytes {
				continue
			}
			if _, err := t.ring.Open(sealed, t.place(row)); err != nil {
				problems = append(problems, fmt.Sprintf("last access in row %x: %v", row, errDamaged))
			}
		}
		return nil
	})
	return problems, err
}
