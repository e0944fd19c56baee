package bolt

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
)

// descriptionMark ends the key of an earlier version's record. It makes the record sort
// right after the values that the version wrote.
const descriptionMark = 'd'

const pastKeyBytes = idBytes + versionBytes + 1

func versionKey(id recordID, version uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(id[:]), version)
}

func pastKey(h head) []byte { return append(versionKey(h.id, h.version), descriptionMark) }

// shelve moves the old version, which next replaces, to the past and tidies the past.
func (s *Store) shelve(tx *state.Tx, o *ownerRow, old record, next *record) error {
	past, rows := tx.Bucket(s.past), tx.Bucket(s.secrets)
	stored := rows.Get(old.key[:])
	versions, err := s.versionsBefore(tx, old)
	if err != nil {
		return err
	}
	if err := past.Put(pastKey(old.head), stored); err != nil {
		return err
	}
	o.past += size(pastKey(old.head), stored)
	if old.valuesAt != next.valuesAt {
		o.past += s.valuesSize(tx, old.head)
		if next.valuesAt != next.version { // restored: the values are no longer past
			o.past -= s.valuesSize(tx, next.head)
		}
	}
	if err := s.tidyDeleted(tx, o); err != nil {
		return err
	}
	next.versions, err = s.tidyVersions(tx, o, next.head, append(slices.Clip(versions), old.head))
	return err
}

// versionsBefore returns the heads of the record's earlier versions, oldest first, from
// the cached record if possible. Versions are dropped oldest first, and a later one means
// another head, so the cached list is still right if its oldest version is there.
func (s *Store) versionsBefore(tx *state.Tx, r record) ([]head, error) {
	past := tx.Bucket(s.past)
	if len(r.versions) > 0 && past.Get(pastKey(r.versions[0])) != nil {
		return r.versions, nil
	}
	return s.earlier(tx, r.id)
}

// valuesSize returns the stored size of the head's values in bytes.
func (s *Store) valuesSize(tx *state.Tx, h head) int64 {
	past, key := tx.Bucket(s.past), versionKey(h.id, h.valuesAt)
	return size(key, past.Get(key))
}

func size(key, value []byte) int64 { return int64(len(key) + len(value)) }

// tidyDeleted drops deleted secrets of the owner, oldest first, while the owner's past is
// too large.
func (s *Store) tidyDeleted(tx *state.Tx, o *ownerRow) error {
	for o.past > s.opts.PastBytes {
		if dropped, err := s.dropOldestDeleted(tx, o); err != nil || !dropped {
			return err
		}
	}
	return nil
}

// tidyVersions drops earlier versions of a record above the limit, oldest first, and more
// while the owner's past is too large. It returns the others.
func (s *Store) tidyVersions(tx *state.Tx, o *ownerRow, current head, versions []head) ([]head, error) {
	for len(versions) > 0 && (len(versions) > s.opts.Versions || o.past > s.opts.PastBytes) {
		oldest := versions[0]
		versions = versions[1:]
		shared := current.valuesAt == oldest.valuesAt ||
			slices.ContainsFunc(versions, func(h head) bool { return h.valuesAt == oldest.valuesAt })
		if err := s.dropVersion(tx, o, oldest, shared); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

// earlier returns the heads of a record's earlier versions, oldest first.
func (s *Store) earlier(tx *state.Tx, id recordID) (versions []head, err error) {
	past := tx.Bucket(s.past)
	for key, stored := range past.Prefix(id[:]) {
		if key[len(key)-1] != descriptionMark || len(key) != pastKeyBytes {
			continue
		}
		h, err := headOf(stored)
		if err != nil {
			return nil, err
		}
		versions = append(versions, h)
	}
	return versions, nil
}

// dropVersion removes a version, and its values unless another version shares them.
func (s *Store) dropVersion(tx *state.Tx, o *ownerRow, h head, shared bool) error {
	keys := [][]byte{pastKey(h)}
	if !shared {
		keys = append(keys, versionKey(h.id, h.valuesAt))
	}
	return s.dropPast(tx, o, keys)
}

func (s *Store) dropPast(tx *state.Tx, o *ownerRow, keys [][]byte) error {
	past := tx.Bucket(s.past)
	for _, key := range keys {
		stored, err := past.Take(key)
		if err != nil {
			return err
		}
		o.past -= size(key, stored)
	}
	return nil
}

// dropAll removes the earlier versions and all values of a record. If the record is live,
// its current values do not count as past.
func (s *Store) dropAll(tx *state.Tx, o *ownerRow, id recordID, live *record) error {
	past := tx.Bucket(s.past)
	var keys [][]byte
	for key := range past.Prefix(id[:]) {
		keys = append(keys, bytes.Clone(key))
	}
	if live != nil {
		o.past += s.valuesSize(tx, live.head)
	}
	return s.dropPast(tx, o, keys)
}

// bury moves a live record to the deleted ones. Its values stay in place and count as
// past from now on.
func (s *Store) bury(tx *state.Tx, o *ownerRow, r record, now time.Time) error {
	rows := tx.Bucket(s.secrets)
	stored, err := rows.Take(r.key[:])
	if err != nil {
		return err
	}
	key := deletedKey(r, now)
	deleted := tx.Bucket(s.deleted)
	if err := deleted.Put(key, stored); err != nil {
		return err
	}
	o.past += size(key, stored) + s.valuesSize(tx, r.head)
	if err := s.tidyDeleted(tx, o); err != nil {
		return err
	}
	versions, err := s.earlier(tx, r.id) // none if the record itself was dropped
	if err == nil {
		_, err = s.tidyVersions(tx, o, r.head, versions)
	}
	return err
}

// A deletedRow is the row of a deleted secret.
type deletedRow struct {
	key    []byte // MAC(owner) ‖ time ‖ id ‖ MAC(name)
	stored []byte
}

const deletedKeyBytes = rowKeyBytes + 8 + idBytes

func deletedKey(r record, at time.Time) []byte {
	key := binary.BigEndian.AppendUint64(r.key.owner(), uint64(at.UnixNano()))
	return slices.Concat(key, r.id[:], r.key.name())
}

// live returns the row key of the secret before its deletion.
func (d deletedRow) live() rowKey {
	return rowKey(slices.Concat(d.key[:seal.MACBytes], d.key[len(d.key)-seal.MACBytes:]))
}

func (d deletedRow) at() time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(d.key[seal.MACBytes:]))).UTC() // #nosec G115 -- the reverse of how it was written
}

// deletedOf returns the secrets of an owner deleted under a name, oldest first. Both are
// given as MACs; a nil name matches all.
func (s *Store) deletedOf(tx *state.Tx, owner, name []byte) (all []deletedRow) {
	deleted := tx.Bucket(s.deleted)
	for k, stored := range deleted.Prefix(owner) {
		if len(k) == deletedKeyBytes && len(stored) >= headBytes && bytes.HasSuffix(k, name) {
			all = append(all, deletedRow{bytes.Clone(k), bytes.Clone(stored)})
		}
	}
	return all
}

func (s *Store) dropOldestDeleted(tx *state.Tx, o *ownerRow) (dropped bool, err error) {
	deleted := tx.Bucket(s.deleted)
	for k, stored := range deleted.Prefix(o.key) {
		return true, s.dropDeleted(tx, o, deletedRow{bytes.Clone(k), bytes.Clone(stored)})
	}
	return false, nil
}

// dropDeleted removes a deleted secret for good.
func (s *Store) dropDeleted(tx *state.Tx, o *ownerRow, d deletedRow) error {
	h, err := headOf(d.stored)
	if err != nil {
		return err
	}
	deleted := tx.Bucket(s.deleted)
	if err := deleted.Delete(d.key); err != nil {
		return err
	}
	o.past -= size(d.key, d.stored)
	return s.dropAll(tx, o, h.id, nil)
}
