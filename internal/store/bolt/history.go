package bolt

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// Versions implements [secret.Historian].
func (s *Store) Versions(ctx context.Context, ref secret.Ref) ([]secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var versions []secret.Info
	err := s.file.View(func(tx *state.Tx) error {
		r, err := s.find(tx, ref)
		if err != nil {
			return err
		}
		earlier, err := s.openEarlier(tx, r)
		for _, e := range append(earlier, r) {
			versions = append(versions, e.info)
		}
		return err
	})
	slices.Reverse(versions)
	return versions, err
}

// openEarlier returns the record's earlier versions, oldest first.
func (s *Store) openEarlier(tx *state.Tx, r record) (versions []record, err error) {
	heads, err := s.earlier(tx, r.id)
	if err != nil {
		return nil, err
	}
	past := tx.Bucket(s.past)
	for _, h := range heads {
		e, err := s.openRecord(r.info.Owner, past.Get(pastKey(h)))
		if err != nil {
			return nil, err
		}
		versions = append(versions, e)
	}
	return versions, nil
}

// RevealVersion implements [secret.Historian].
func (s *Store) RevealVersion(ctx context.Context, op secret.Op, revision secret.Revision) (data map[string]secret.Value, err error) {
	err = s.change(ctx, s.file.UpdateReserved, op, func(tx *state.Tx) error {
		now, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		versions, err := s.openEarlier(tx, now)
		if err != nil {
			return err
		}
		versions = append(versions, now)
		i := slices.IndexFunc(versions, func(v record) bool { return v.info.Revision == revision })
		if i < 0 {
			return secret.ErrNotFound
		}
		data, err = s.openValues(tx, versions[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Restore implements [secret.Historian]. It opens no values: the new version shares those
// of the old one.
func (s *Store) Restore(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	var r record
	err := s.write(ctx, op, func(tx *state.Tx) error {
		now, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		earlier, err := s.openEarlier(tx, now)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(earlier, func(e record) bool { return e.info.Revision == revision })
		if i < 0 {
			return secret.ErrNotFound
		}
		r = now.next(op)
		r.valuesAt = earlier[i].valuesAt
		r.info.Description, r.info.Keys = earlier[i].info.Description, earlier[i].info.Keys
		if err := s.checkRoom(tx, &now, r); err != nil {
			return err
		}
		return s.succeed(tx, now, &r)
	})
	return s.answer(r, err)
}

// Deleted implements [secret.Historian].
func (s *Store) Deleted(ctx context.Context, owner secret.Owner) ([]secret.Deleted, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []secret.Deleted
	err := s.file.View(func(tx *state.Tx) error {
		key := s.ownerKey(owner)
		for _, d := range s.deletedOf(tx, key[:], nil) {
			r, err := s.openRecord(owner, d.stored)
			if err != nil {
				return err
			}
			all = append(all, secret.Deleted{Info: r.info, At: d.at()})
		}
		return nil
	})
	slices.Reverse(all)
	return all, err
}

// Undelete implements [secret.Historian].
func (s *Store) Undelete(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	var r record
	err := s.write(ctx, op, func(tx *state.Tx) error {
		key := s.rowKey(op.Ref)
		if s.exists(tx, key) {
			return secret.ErrExists
		}
		d, found, err := s.findDeleted(tx, op.Ref.Owner, key, revision)
		if err != nil {
			return err
		}
		r = found
		o := s.owner(tx, op.Ref.Owner)
		if o.count >= MaxSecrets {
			return errTooMany
		}
		if err := s.checkRoom(tx, nil, r); err != nil {
			return err
		}
		o.count++
		return errors.Join(s.unbury(tx, &o, d, r), s.putOwner(tx, o))
	})
	return s.answer(r, err)
}

// findDeleted returns the secret last deleted under the key, or the one with the given
// revision.
func (s *Store) findDeleted(tx *state.Tx, owner secret.Owner, key rowKey, revision secret.Revision) (deletedRow, record, error) {
	missing := secret.ErrNotFound
	for _, d := range slices.Backward(s.deletedOf(tx, key.owner(), key.name())) {
		r, err := s.openAt(owner, key, d.stored)
		if revision == "" || (err == nil && r.info.Revision == revision) {
			return d, r, err
		}
		if err != nil { // it may be the requested one, or another one may be
			missing = err
		}
	}
	return deletedRow{}, record{}, missing
}

// unbury reverses bury.
func (s *Store) unbury(tx *state.Tx, o *ownerRow, d deletedRow, r record) error {
	rows, deleted := tx.Bucket(s.secrets), tx.Bucket(s.deleted)
	o.past -= size(d.key, d.stored) + s.valuesSize(tx, r.head)
	return errors.Join(deleted.Delete(d.key), rows.Put(r.key[:], d.stored), s.resealMoved(tx, r.key, d.stored))
}

// Destroy implements [secret.Historian].
func (s *Store) Destroy(ctx context.Context, op secret.Op) error {
	return s.write(ctx, op, func(tx *state.Tx) error {
		r, err := s.findAt(tx, op)
		live := err == nil
		if err != nil && !errors.Is(err, secret.ErrNotFound) {
			return err
		}
		key := s.rowKey(op.Ref)
		dead := s.deletedOf(tx, key.owner(), key.name())
		if !live && len(dead) == 0 {
			return secret.ErrNotFound
		}
		o := s.owner(tx, op.Ref.Owner)
		if live {
			o.count--
			if err := errors.Join(s.remove(tx, r), s.dropAll(tx, &o, r.id, &r)); err != nil {
				return err
			}
		}
		for _, d := range dead {
			if err := s.dropDeleted(tx, &o, d); err != nil {
				return err
			}
		}
		return s.putOwner(tx, o)
	})
}

// Erase implements [secret.Historian].
func (s *Store) Erase(ctx context.Context, op secret.Op) error {
	return s.write(ctx, op, func(tx *state.Tx) error {
		owner := s.ownerKey(op.Ref.Owner)
		rows := tx.Bucket(s.secrets)
		if rows.Get(owner[:]) == nil {
			return secret.ErrNotFound
		}
		o := s.owner(tx, op.Ref.Owner)
		var keys [][]byte
		var ids []recordID
		for key, stored := range rows.Prefix(owner[:]) {
			keys = append(keys, bytes.Clone(key))
			if h, err := headOf(stored); err == nil && len(key) == rowKeyBytes {
				ids = append(ids, h.id)
			}
		}
		for _, d := range s.deletedOf(tx, owner[:], nil) {
			if err := s.dropDeleted(tx, &o, d); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if err := s.dropAll(tx, &o, id, nil); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if err := rows.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Expire removes up to atMost secrets that were deleted more than Options.DeletedFor ago,
// and returns their number.
func (s *Store) Expire(ctx context.Context, now time.Time, atMost int) (expired int, err error) {
	before := now.Add(-s.opts.DeletedFor)
	err = s.file.Update(ctx, func(tx *state.Tx) error {
		due := s.due(tx, before, atMost)
		for _, d := range due {
			if err := s.expire(tx, d); err != nil {
				return err
			}
		}
		expired = len(due)
		return nil
	})
	return expired, err
}

// due returns secrets deleted before a time. The rows of an owner are ordered by deletion
// time, so it reads only one row per owner beyond the result.
func (s *Store) due(tx *state.Tx, before time.Time, atMost int) (all []deletedRow) {
	deleted := tx.Bucket(s.deleted)
	for first := range eachOwner(deleted) {
		for key, stored := range deleted.Prefix(first[:seal.MACBytes]) {
			d := deletedRow{bytes.Clone(key), bytes.Clone(stored)}
			if len(all) == atMost {
				return all
			}
			if len(key) != deletedKeyBytes {
				continue
			}
			if !d.at().Before(before) {
				break
			}
			all = append(all, d)
		}
	}
	return all
}

func (s *Store) expire(tx *state.Tx, d deletedRow) error {
	key := d.key[:seal.MACBytes]
	rows := tx.Bucket(s.secrets)
	o, err := s.openOwner(key, rows.Get(key))
	if err != nil {
		return err
	}
	return errors.Join(s.dropDeleted(tx, &o, d), s.putOwner(tx, o))
}
