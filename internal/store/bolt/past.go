package bolt

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
)

// descriptionMark ends the key of an earlier version's record, which sorts it
// right behind the values that the version wrote.
const descriptionMark = 'd'

const pastKeyBytes = idBytes + versionBytes + 1

func versionKey(id recordID, version uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(id[:]), version)
}

func pastKey(h head) []byte { return append(versionKey(h.id, h.version), descriptionMark) }

// shelve puts the version that another takes the place of into the past, and
// tidies there: next is what takes its place.
func (s *Store) shelve(tx *state.Tx, o *ownerRow, old, next record) error {
	past, rows := tx.Bucket(s.past), tx.Bucket(s.secrets)
	stored := bytes.Clone(rows.Get(old.key[:]))
	if err := past.Put(pastKey(old.head), stored); err != nil {
		return err
	}
	o.past += size(pastKey(old.head), stored)
	if old.valuesAt != next.valuesAt {
		o.past += s.valuesSize(tx, old.head)
		if next.valuesAt != next.version { // restored: what was past is not any more
			o.past -= s.valuesSize(tx, next.head)
		}
	}
	return s.tidy(tx, o, next.head)
}

// valuesSize is how many bytes the values take that belong to the head.
func (s *Store) valuesSize(tx *state.Tx, h head) int64 {
	past, key := tx.Bucket(s.past), versionKey(h.id, h.valuesAt)
	return size(key, past.Get(key))
}

func size(key, value []byte) int64 { return int64(len(key) + len(value)) }

// tidy drops versions of the record that are more than are to be kept, oldest
// first, and as long as the owner's past is larger than it may be, first its
// deleted secrets and then more of these versions.
func (s *Store) tidy(tx *state.Tx, o *ownerRow, current head) error {
	for o.past > s.opts.PastBytes {
		dropped, err := s.dropOldestDeleted(tx, o)
		if err != nil {
			return err
		}
		if !dropped {
			break
		}
	}
	versions, err := s.earlier(tx, current.id)
	if err != nil {
		return err
	}
	for len(versions) > 0 && (len(versions) > s.opts.Versions || o.past > s.opts.PastBytes) {
		oldest := versions[0]
		versions = versions[1:]
		shared := current.valuesAt == oldest.valuesAt ||
			slices.ContainsFunc(versions, func(h head) bool { return h.valuesAt == oldest.valuesAt })
		if err := s.dropVersion(tx, o, oldest, shared); err != nil {
			return err
		}
	}
	return nil
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

// dropVersion removes a version and, unless they are shared with another one,
// its values.
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
		o.past -= size(key, past.Get(key))
		if err := past.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// dropAll removes all there is of a record in the past: its earlier versions
// and all values. Of a live record, bytes that did not count as past are the
// values it has now.
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

// bury moves a live record to the deleted ones. Its values stay where they
// are and count as past from now on.
func (s *Store) bury(tx *state.Tx, o *ownerRow, r record, now time.Time) error {
	rows := tx.Bucket(s.secrets)
	stored := bytes.Clone(rows.Get(r.key[:]))
	if err := rows.Delete(r.key[:]); err != nil {
		return err
	}
	key := deletedKey(r, now)
	deleted := tx.Bucket(s.deleted)
	if err := deleted.Put(key, stored); err != nil {
		return err
	}
	o.past += size(key, stored) + s.valuesSize(tx, r.head)
	return s.tidy(tx, o, r.head)
}

// A deletedRow is a deleted secret's row.
type deletedRow struct {
	key    []byte // MAC(owner) ‖ time ‖ id ‖ MAC(name)
	stored []byte
}

const deletedKeyBytes = rowKeyBytes + 8 + idBytes

func deletedKey(r record, at time.Time) []byte {
	key := binary.BigEndian.AppendUint64(r.key.owner(), uint64(at.UnixNano()))
	return slices.Concat(key, r.id[:], r.key.name())
}

// live is the key that the row had before, and has again if it is put back.
func (d deletedRow) live() rowKey {
	return rowKey(slices.Concat(d.key[:seal.MACBytes], d.key[len(d.key)-seal.MACBytes:]))
}

func (d deletedRow) at() time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(d.key[seal.MACBytes:]))).UTC() // #nosec G115 -- the reverse of how it was written
}

// deletedOf returns what was deleted of the owner under a name, oldest first:
// both are MACs, and nil stands for every name.
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
