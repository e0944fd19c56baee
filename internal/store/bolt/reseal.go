package bolt

import (
	"bytes"
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// Reseal reseals everything that is not sealed with the ring's primary key, in steps
// between other transactions. It calls progress with the number of records checked so
// far. When it returns nil, no row needs another key: concurrent writes seal with the
// primary key as well.
func (s *Store) Reseal(ctx context.Context, progress func(records int)) error {
	before, looked := 0, 0
	for _, bucket := range []string{s.secrets, s.deleted} {
		reseal := func(tx *state.Tx, key, stored []byte) error { return s.resealRow(tx, bucket, key, stored) }
		err := s.file.Sweep(ctx, bucket, reseal, func(rows int) {
			looked = before + rows
			progress(looked)
		})
		if err != nil {
			return err
		}
		before = looked
	}
	return nil
}

func (s *Store) resealRow(tx *state.Tx, bucket string, key, stored []byte) error {
	rows := tx.Bucket(bucket)
	if len(key) == seal.MACBytes {
		return s.resealText(&rows, key, stored, ownerHeadBytes, s.ownerPlace(key))
	}
	return s.resealRecord(tx, &rows, key, stored)
}

// resealMoved reseals a record that has a new row key, which Reseal may already have
// passed. A record that cannot be opened is left.
func (s *Store) resealMoved(tx *state.Tx, key rowKey, stored []byte) error {
	rows := tx.Bucket(s.secrets)
	if err := s.resealRecord(tx, &rows, key[:], stored); !errors.Is(err, errDamaged) {
		return err
	}
	return nil
}

// resealRecord reseals a record, its values and its past.
func (s *Store) resealRecord(tx *state.Tx, rows *state.Bucket, key, stored []byte) error {
	owner, err := s.ownerOf(tx, key)
	if err != nil {
		return err
	}
	h, err := headOf(stored)
	if err != nil {
		return err
	}
	if err := s.resealText(rows, key, stored, headBytes, s.descriptionPlace(owner, h)); err != nil {
		return err
	}
	past := tx.Bucket(s.past)
	var keys [][]byte
	for key := range past.Prefix(h.id[:]) {
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
		h, err := headOf(stored)
		if err != nil {
			return err
		}
		return s.resealText(past, key, stored, headBytes, s.descriptionPlace(owner, h))
	}
	return s.resealText(past, key, stored, 0, s.valuesPlace(owner, key))
}

// resealText reseals the part of a row after the first from bytes.
func (s *Store) resealText(rows *state.Bucket, key, stored []byte, from int, place []byte) error {
	if len(stored) < from {
		return errDamaged
	}
	if s.ring.SealedByPrimary(stored[from:]) {
		return nil
	}
	text, err := s.ring.Open(stored[from:], place)
	if err != nil {
		return errDamaged
	}
	defer clear(text)
	return rows.Put(key, append(stored[:from:from], s.ring.Seal(text, place)...))
}

// ownerOf returns the owner of a row from the owner's row.
func (s *Store) ownerOf(tx *state.Tx, key []byte) (secret.Owner, error) {
	if len(key) < seal.MACBytes {
		return secret.Owner{}, errDamaged
	}
	rows := tx.Bucket(s.secrets)
	o, err := s.openOwner(key[:seal.MACBytes], rows.Get(key[:seal.MACBytes]))
	return o.owner, err
}
