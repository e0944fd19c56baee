package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// The rows of the store, each text sealed for its place and no other:
//
//	secrets  MAC(owner)                         count (4) ‖ bytes of the past (8) ‖ sealed owner
//	secrets  MAC(owner) ‖ MAC(name)             record
//	past     id ‖ version (8) ‖ 'd'             record, as it was in that version
//	past     id ‖ version (8)                   sealed values that the version wrote
//	deleted  MAC(owner) ‖ time (8) ‖ id ‖ MAC(name)
//	                                            record, as it was when it was deleted
//
//	record = id (16) ‖ version (8) ‖ version that wrote the values (8) ‖ sealed description
//
// An owner's row sorts right before those of its secrets. A record keeps its
// id through renames, deletion and undeletion, and so its values, which are
// bound to owner, id and the version that wrote them, stay where they are. A
// version is used once.
const (
	idBytes      = 16
	versionBytes = 8
	headBytes    = idBytes + 2*versionBytes
	rowKeyBytes  = 2 * seal.MACBytes
)

type (
	rowKey   [rowKeyBytes]byte
	recordID [idBytes]byte
)

func (k rowKey) owner() []byte { return k[:seal.MACBytes] }
func (k rowKey) name() []byte  { return k[seal.MACBytes:] }

// A record is a stored secret without its values.
type record struct {
	key rowKey // its row key unless it is deleted
	head
	info     secret.Info
	versions []head // earlier ones, oldest first; empty if they have not been looked up
	uncached bool   // it was opened in a transaction that can write
}

// A head is the part of a stored record that is authenticated but not sealed. The store
// needs it to tidy without opening records.
type head struct {
	id       recordID
	version  uint64
	valuesAt uint64 // the version that wrote the values
}

// A description is the sealed part of a record.
type description struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Keys        []string  `json:"keys"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	UpdatedBy   string    `json:"by,omitempty"`
	Revision    string    `json:"revision"`
}

var errDamaged = errors.New("a record of the state file is damaged")

func newRecord(key rowKey, op secret.Op, draft secret.Draft) record {
	ref, now := op.Ref, time.Now().UTC()
	r := record{key: key, head: head{version: 1, valuesAt: 1}, info: secret.Info{
		Ref: ref, Description: draft.Description, Keys: keysOf(draft.Data), Created: draft.Created, Updated: now, UpdatedBy: writerOf(op),
		Version: 1, ObjectName: objectname.Of(ref),
	}}
	if draft.Created.IsZero() {
		r.info.Created = now
	}
	_, _ = rand.Read(r.id[:])
	r.info.Revision = newRevision()
	return r
}

// next returns the record's next version, which the operation writes.
func (r record) next(op secret.Op) record {
	r.version++
	r.versions, r.uncached = nil, false
	r.info.Version = r.version
	r.info.Updated, r.info.UpdatedBy = time.Now().UTC(), writerOf(op)
	r.info.Revision = newRevision()
	return r
}

// writerOf returns the subject of the caller, or "" for operations without an audit event.
func writerOf(op secret.Op) string {
	if op.Event == nil {
		return ""
	}
	return op.Event.Subject
}

// newRevision returns a random revision. If an old copy of the file were restored, a
// counter would give other content the same revision.
func newRevision() secret.Revision {
	r := make([]byte, 8)
	_, _ = rand.Read(r)
	return secret.Revision(hex.EncodeToString(r))
}

// keep caches a record that a committed transaction has opened.
func (s *Store) keep(r record) {
	if r.uncached {
		r.uncached = false
		s.infos.put(r)
	}
}

// answer caches the record of a committed write and returns its Info.
func (s *Store) answer(r record, err error) (secret.Info, error) {
	if err != nil {
		return secret.Info{}, err
	}
	s.infos.put(r)
	return r.info, nil
}

func keysOf(data map[string]secret.Value) []string { return slices.Sorted(maps.Keys(data)) }

// stored returns the encoded head.
func (h head) stored() []byte {
	text := append(make([]byte, 0, headBytes), h.id[:]...)
	text = binary.BigEndian.AppendUint64(text, h.version)
	return binary.BigEndian.AppendUint64(text, h.valuesAt)
}

// headOf reads the head of a stored record.
func headOf(stored []byte) (head, error) {
	if len(stored) < headBytes {
		return head{}, errDamaged
	}
	return head{
		id:       recordID(stored),
		version:  binary.BigEndian.Uint64(stored[idBytes:]),
		valuesAt: binary.BigEndian.Uint64(stored[idBytes+versionBytes:]),
	}, nil
}

func (s *Store) ownerKey(owner secret.Owner) [seal.MACBytes]byte {
	return s.ring.MAC(seal.Place("owner", s.name, owner.Kind, owner.ID))
}

func (s *Store) rowKey(ref secret.Ref) rowKey {
	var key rowKey
	owner := s.ownerKey(ref.Owner)
	name := s.ring.MAC(seal.Place("name", s.name, ref.Owner.Kind, ref.Owner.ID, ref.Name))
	copy(key[copy(key[:], owner[:]):], name[:])
	return key
}

// descriptionPlace does not depend on the row, so that the sealed text can be moved to
// the past and back unchanged.
func (s *Store) descriptionPlace(owner secret.Owner, h head) []byte {
	return seal.Place("description", s.file.ID(), s.name, owner.Kind, owner.ID, string(h.stored()))
}

// find returns the record, or ErrNotFound.
func (s *Store) find(tx *state.Tx, ref secret.Ref) (record, error) {
	key := s.rowKey(ref)
	rows := tx.Bucket(s.secrets)
	stored := rows.Get(key[:])
	if stored == nil {
		return record{}, secret.ErrNotFound
	}
	return s.openLive(tx, ref.Owner, key, stored)
}

// findAt also returns ErrChanged if the record does not meet the condition.
func (s *Store) findAt(tx *state.Tx, op secret.Op) (record, error) {
	r, err := s.find(tx, op.Ref)
	if err == nil && !op.Matches(r.info.Revision) {
		err = secret.ErrChanged
	}
	return r, err
}

// text returns the encoded description for sealing.
func (r record) text() ([]byte, error) {
	text, err := json.Marshal(description{
		r.info.Name, r.info.Description, r.info.Keys, r.info.Created, r.info.Updated, r.info.UpdatedBy,
		string(r.info.Revision),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	return text, nil
}

// put seals the record and stores it under the key of its name.
func (s *Store) put(tx *state.Tx, r record) error {
	text, err := r.text()
	if err != nil {
		return err
	}
	rows := tx.Bucket(s.secrets)
	return rows.Put(r.key[:], append(r.stored(), s.ring.Seal(text, s.descriptionPlace(r.info.Owner, r.head))...))
}

// openLive opens a live record through the cache.
func (s *Store) openLive(tx *state.Tx, owner secret.Owner, key rowKey, stored []byte) (record, error) {
	if r, ok := s.infos.get(key, stored); ok {
		return r, nil
	}
	r, err := s.openAt(owner, key, stored)
	if err != nil {
		return record{}, err
	}
	// Do not cache in a write transaction: it may never be committed, and its version
	// number would be used again for other content.
	r.uncached = tx.Writable()
	if !r.uncached {
		s.infos.put(r)
	}
	return r, nil
}

// openAt opens the record found under a key. The seal binds the description to owner and
// id; openAt checks that its name matches the key.
func (s *Store) openAt(owner secret.Owner, key rowKey, stored []byte) (record, error) {
	r, err := s.openRecord(owner, stored)
	if err != nil {
		return record{}, err
	}
	if s.rowKey(r.info.Ref) != key {
		return record{}, errDamaged
	}
	r.key = key
	return r, nil
}

func (s *Store) openRecord(owner secret.Owner, stored []byte) (record, error) {
	h, err := headOf(stored)
	if err != nil {
		return record{}, err
	}
	text, err := s.ring.Open(stored[headBytes:], s.descriptionPlace(owner, h))
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return record{}, errDamaged
	}
	ref := secret.Ref{Owner: owner, Name: d.Name}
	return record{head: h, info: secret.Info{
		Ref: ref, Description: d.Description, Keys: d.Keys, Created: d.Created, Updated: d.Updated, UpdatedBy: d.UpdatedBy,
		Revision: secret.Revision(d.Revision), Version: h.version, ObjectName: objectname.Of(ref),
	}}, nil
}
