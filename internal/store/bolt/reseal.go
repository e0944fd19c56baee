package bolt

import (
	"bytes"
	"context"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// resealStep bounds how many records one transaction seals anew, so that
// others do not wait for long.
const resealStep = 64

// Reseal seals with the ring's primary key whatever another key has sealed,
// step by step beside everything else. It calls progress with the number of
// records that it has looked at. Once it returns nil, no row needs any other
// key: a write that comes in between is sealed by the primary key as well.
func (s *Store) Reseal(ctx context.Context, progress func(records int)) error {
	looked := 0
	for _, bucket := range []string{s.secrets, s.deleted} {
		for from := []byte{0}; from != nil; {
			var n int
			err := s.file.Update(ctx, func(tx *state.Tx) (err error) {
				from, n, err = s.resealFrom(tx, bucket, from)
				return err
			})
			if err != nil {
				return err
			}
			looked += n
			progress(looked)
		}
	}
	return nil
}

// resealFrom seals some rows anew, starting at a key, and returns the key to
// go on from, nil at the end.
func (s *Store) resealFrom(tx *state.Tx, bucket string, from []byte) (next []byte, records int, err error) {
	type row struct{ key, stored []byte }
	var step []row
	rows := tx.Bucket(bucket)
	for key, stored := range rows.From(from) {
		if len(step) == resealStep {
			next = bytes.Clone(key)
			break
		}
		step = append(step, row{bytes.Clone(key), bytes.Clone(stored)})
	}
	for _, r := range step {
		if len(r.key) == seal.MACBytes {
			err = s.resealText(&rows, r.key, r.stored, ownerHeadBytes, s.ownerPlace(r.key))
		} else {
			err = s.resealRecord(tx, &rows, r.key, r.stored)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return next, len(step), nil
}

// resealRecord seals a record anew, its values and its past.
func (s *Store) resealRecord(tx *state.Tx, rows *state.Bucket, key, stored []byte) error {
	owner, err := s.ownerOf(tx, key)
	if err != nil {
		return err
	}
	r, err := headOf(stored)
	if err != nil {
		return err
	}
	if err := s.resealText(rows, key, stored, headBytes, s.descriptionPlace(owner, r)); err != nil {
		return err
	}
	past := tx.Bucket(s.past)
	var keys [][]byte
	for key := range past.Prefix(r.id[:]) {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys {
		if err := s.resealPast(&past, owner, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) resealPast(past *state.Bucket, owner secret.Owner, key []byte) error {
	stored := bytes.Clone(past.Get(key))
	if key[len(key)-1] == descriptionMark && len(key) == pastKeyBytes {
		r, err := headOf(stored)
		if err != nil {
			return err
		}
		return s.resealText(past, key, stored, headBytes, s.descriptionPlace(owner, r))
	}
	return s.resealText(past, key, stored, 0, s.valuesPlace(owner, key))
}

// resealText seals anew what follows the head of a row.
func (s *Store) resealText(rows *state.Bucket, key, stored []byte, head int, place []byte) error {
	if len(stored) < head {
		return errDamaged
	}
	if s.ring.SealedByPrimary(stored[head:]) {
		return nil
	}
	text, err := s.ring.Open(stored[head:], place)
	if err != nil {
		return errDamaged
	}
	defer clear(text)
	return rows.Put(key, append(stored[:head:head], s.ring.Seal(text, place)...))
}

// ownerOf returns whose row it is, from the owner's row.
func (s *Store) ownerOf(tx *state.Tx, key []byte) (secret.Owner, error) {
	if len(key) < seal.MACBytes {
		return secret.Owner{}, errDamaged
	}
	rows := tx.Bucket(s.secrets)
	o, err := s.openOwner(key[:seal.MACBytes], rows.Get(key[:seal.MACBytes]))
	return o.owner, err
}
