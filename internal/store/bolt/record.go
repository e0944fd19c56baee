package bolt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The rows of the store, each sealed for its place and no other:
//
//	secrets  MAC(owner)                   count (4) ‖ sealed owner
//	secrets  MAC(owner) ‖ MAC(name)       id (16) ‖ version (8) ‖ sealed description
//	values   id (16) ‖ version (8)        sealed values
//
// An owner's row sorts right before those of its secrets. A record keeps its
// id through renames, and so its values, which are bound to owner, id and the
// version that wrote them, stay where they are. A version is used once.
const (
	countBytes   = 4
	idBytes      = 16
	versionBytes = 8
	rowKeyBytes  = 2 * seal.MACBytes
)

type rowKey [rowKeyBytes]byte

// A record is a secret as it is stored, without its values.
type record struct {
	id       [idBytes]byte
	version  uint64
	valuesAt uint64 // the version that wrote the values
	info     secret.Info
}

// The sealed description of a secret.
type description struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Keys        []string  `json:"keys"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Revision    string    `json:"revision"`
	ValuesAt    uint64    `json:"values_at"`
}

var errDamaged = errors.New("a record of the state file is damaged")

func newRecord(ref secret.Ref, draft secret.Draft, now time.Time) record {
	r := record{version: 1, valuesAt: 1, info: secret.Info{
		Ref: ref, Description: draft.Description, Keys: keysOf(draft.Data), Created: draft.Created, Updated: now,
	}}
	if draft.Created.IsZero() {
		r.info.Created = now
	}
	_, _ = rand.Read(r.id[:])
	r.info.Revision = newRevision()
	return r
}

// next is the record's next version.
func (r record) next(now time.Time) record {
	r.version++
	r.info.Updated = now
	r.info.Revision = newRevision()
	return r
}

// newRevision is random rather than counted: where an old copy of the file is
// put back, counting would name other contents by the same revision.
func newRevision() secret.Revision {
	r := make([]byte, 8)
	_, _ = rand.Read(r)
	return secret.Revision(hex.EncodeToString(r))
}

func (r record) answer(err error) (secret.Info, error) {
	if err != nil {
		return secret.Info{}, err
	}
	return r.info, nil
}

func keysOf(data map[string]secret.Value) []string { return slices.Sorted(maps.Keys(data)) }

func (s *Store) ownerKey(owner secret.Owner) [seal.MACBytes]byte {
	return s.ring.MAC(seal.Place("owner", s.name, owner.Kind, owner.ID))
}

func (s *Store) rowKey(ref secret.Ref) rowKey {
	owner := s.ownerKey(ref.Owner)
	name := s.ring.MAC(seal.Place("name", s.name, ref.Owner.Kind, ref.Owner.ID, ref.Name))
	return rowKey(slices.Concat(owner[:], name[:]))
}

func (s *Store) place(field string, owner secret.Owner, id [idBytes]byte, version uint64) []byte {
	v := binary.BigEndian.AppendUint64(nil, version)
	return seal.Place(field, s.file.ID(), s.name, owner.Kind, owner.ID, string(id[:]), string(v))
}

// find returns the record, or ErrNotFound.
func (s *Store) find(tx *state.Tx, ref secret.Ref) (record, error) {
	key := s.rowKey(ref)
	rows := tx.Bucket(s.secrets)
	stored := rows.Get(key[:])
	if stored == nil {
		return record{}, secret.ErrNotFound
	}
	return s.openRecord(tx, ref.Owner, key, stored)
}

// findAt also returns ErrChanged if the record does not meet the condition.
func (s *Store) findAt(tx *state.Tx, op secret.Op) (record, error) {
	r, err := s.find(tx, op.Ref)
	if err == nil && !op.Matches(r.info.Revision) {
		err = secret.ErrChanged
	}
	return r, err
}

func (s *Store) put(rows *state.Bucket, r record) error {
	text, err := json.Marshal(description{
		r.info.Name, r.info.Description, r.info.Keys, r.info.Created, r.info.Updated, string(r.info.Revision), r.valuesAt,
	})
	if err != nil {
		return fmt.Errorf("encoding a record: %w", err)
	}
	stored := append(r.id[:], binary.BigEndian.AppendUint64(nil, r.version)...)
	stored = append(stored, s.ring.Seal(text, s.place("description", r.info.Owner, r.id, r.version))...)
	key := s.rowKey(r.info.Ref)
	return rows.Put(key[:], stored)
}

func (s *Store) openRecord(tx *state.Tx, owner secret.Owner, key rowKey, stored []byte) (record, error) {
	if len(stored) < idBytes+versionBytes {
		return record{}, errDamaged
	}
	if r, ok := s.infos.get(key, stored); ok {
		return r, nil
	}
	r := record{id: [idBytes]byte(stored), version: binary.BigEndian.Uint64(stored[idBytes:])}
	text, err := s.ring.Open(stored[idBytes+versionBytes:], s.place("description", owner, r.id, r.version))
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return record{}, errDamaged
	}
	r.valuesAt = d.ValuesAt
	r.info = secret.Info{
		Ref: secret.Ref{Owner: owner, Name: d.Name}, Description: d.Description, Keys: d.Keys,
		Created: d.Created, Updated: d.Updated, Revision: secret.Revision(d.Revision),
	}
	// The description is bound to owner and id; the name it is found by is
	// bound to the description here.
	if s.rowKey(r.info.Ref) != key {
		return record{}, errDamaged
	}
	// What a write has in hand may never be committed, and its version used
	// again for something else.
	if !tx.Writable() {
		s.infos.put(key, stored, r)
	}
	return r, nil
}

// An ownerRow says whose the secrets are whose rows follow it.
type ownerRow struct {
	owner secret.Owner
	count uint32
}

func (s *Store) openOwner(key, stored []byte) (ownerRow, error) {
	if len(stored) < countBytes {
		return ownerRow{}, errDamaged
	}
	text, err := s.ring.Open(stored[countBytes:], seal.Place("owner", s.file.ID(), s.name, string(key)))
	if err != nil {
		return ownerRow{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	kind, id, ok := bytes.Cut(text, []byte{0})
	if !ok {
		return ownerRow{}, errDamaged
	}
	return ownerRow{secret.Owner{Kind: string(kind), ID: string(id)}, binary.BigEndian.Uint32(stored)}, nil
}

// count notes that the owner has so many more secrets, and who it is. The row
// goes with the last of them.
func (s *Store) count(rows *state.Bucket, owner secret.Owner, more int) error {
	key := s.ownerKey(owner)
	count, sealed := 0, []byte(nil)
	if stored := rows.Get(key[:]); len(stored) > countBytes {
		count, sealed = int(binary.BigEndian.Uint32(stored)), stored[countBytes:]
	} else {
		sealed = s.ring.Seal([]byte(owner.Kind+"\x00"+owner.ID), seal.Place("owner", s.file.ID(), s.name, string(key[:])))
	}
	count += more
	switch {
	case count > MaxSecrets:
		return &secret.InvalidError{Field: "name", Reason: "is one too many: 10000 secrets are there already"}
	case count <= 0:
		return rows.Delete(key[:])
	}
	return rows.Put(key[:], append(binary.BigEndian.AppendUint32(nil, uint32(count)), sealed...))
}
