package delivery

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The bucket of last deliveries:
//
//	MAC(owner) (16) ‖ MAC(name) (16)  sealed last delivery, in JSON
//	audit                             number of the last audit entry that is reflected here (8)
const bucket = "delivered"

var (
	auditKey   = []byte("audit")
	errDamaged = errors.New("its row is damaged, or not its own")
)

func (b *Book) ownerKey(owner secret.Owner) []byte {
	mac := b.ring.MAC(seal.Place("delivered owner", owner.Kind, owner.ID))
	return mac[:]
}

func (b *Book) rowKey(ref secret.Ref) []byte {
	mac := b.ring.MAC(seal.Place("delivered name", ref.Owner.Kind, ref.Owner.ID, ref.Name))
	return append(b.ownerKey(ref.Owner), mac[:]...)
}

func (b *Book) place(row []byte) []byte { return seal.Place("delivered", b.file.ID(), string(row)) }

func (b *Book) read(tx *state.Tx, ref secret.Ref) (last Last, ok bool, err error) {
	rows, row := tx.Bucket(bucket), b.rowKey(ref)
	sealed := rows.Get(row)
	if sealed == nil {
		return Last{}, false, nil
	}
	text, err := b.ring.Open(sealed, b.place(row))
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil {
		return Last{}, false, fmt.Errorf("the last delivery of %s: %w", ref, errDamaged)
	}
	return last, true, nil
}

func (b *Book) write(tx *state.Tx, ref secret.Ref, last Last) error {
	text, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("encoding a delivery: %w", err)
	}
	rows, row := tx.Bucket(bucket), b.rowKey(ref)
	return rows.Put(row, b.ring.Seal(text, b.place(row)))
}

// move is for a rename: what is known of the secret goes with it, and what is
// known of one that had the name before goes.
func (b *Book) move(tx *state.Tx, from secret.Ref, name string) error {
	rows, to := tx.Bucket(bucket), secret.Ref{Owner: from.Owner, Name: name}
	last, known := b.lookUp(from)
	if !known {
		last, known, _ = b.read(tx, from) // damage is no reason to refuse a rename
	}
	err := errors.Join(rows.Delete(b.rowKey(from)), rows.Delete(b.rowKey(to)))
	if err == nil && known {
		err = b.write(tx, to, last)
	}
	return err
}

// forget removes all there is about a secret, or about an owner's.
func (b *Book) forget(tx *state.Tx, ref secret.Ref) error {
	prefix := b.ownerKey(ref.Owner)
	if ref.Name != "" {
		prefix = b.rowKey(ref)
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

func (b *Book) readWritten() (seq uint64, err error) {
	err = b.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		if stored := rows.Get(auditKey); len(stored) == 8 {
			seq = binary.BigEndian.Uint64(stored)
		}
		return nil
	})
	return seq, err
}

func (b *Book) writeWritten(tx *state.Tx, seq uint64) error {
	rows := tx.Bucket(bucket)
	return rows.Put(auditKey, binary.BigEndian.AppendUint64(nil, seq))
}

// Reseal seals with the ring's primary key what another has sealed, and calls
// progress with the number of rows that it has looked at.
func (b *Book) Reseal(ctx context.Context, progress func(rows int)) error {
	return b.file.Sweep(ctx, bucket, b.resealRow, progress)
}

// resealRow drops what does not open: it can be found in the audit log.
func (b *Book) resealRow(tx *state.Tx, row, sealed []byte) error {
	if bytes.Equal(row, auditKey) || b.ring.SealedByPrimary(sealed) {
		return nil
	}
	rows := tx.Bucket(bucket)
	text, err := b.ring.Open(sealed, b.place(row))
	if err != nil {
		return rows.Delete(row)
	}
	return rows.Put(row, b.ring.Seal(text, b.place(row)))
}

// Verify opens everything, and says what is wrong.
func (b *Book) Verify() (problems []string, err error) {
	err = b.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		for row, sealed := range rows.From([]byte{0}) {
			if bytes.Equal(row, auditKey) {
				continue
			}
			if _, err := b.ring.Open(sealed, b.place(row)); err != nil {
				problems = append(problems, fmt.Sprintf("last delivery in row %x: %v", row, errDamaged))
			}
		}
		return nil
	})
	return problems, err
}
