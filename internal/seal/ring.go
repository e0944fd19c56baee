// Package seal encrypts records and binds each to its place in the store.
//
// A [Key] seals one text. A [Ring] holds all keys of a state file: the primary
// key seals new records, and every key opens the records that it sealed. The
// keyring is stored in the state file, sealed with the key-encryption key that
// the operator keeps elsewhere.
package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
)

const idBytes = 4

// ErrWrongKey means that the keyring was sealed with another key-encryption
// key, or is damaged.
var ErrWrongKey = errors.New("this key does not open the keyring")

// A Ring is the keyring of a state file: the keys that seal its records, and
// the index key that hides their names. It is safe for concurrent use.
type Ring struct {
	keys  atomic.Pointer[keySet]
	index *Key // never rotates: rows are found by MACs under a key derived from it
	names *Key // computes these MACs
}

// A keySet is never changed, only replaced.
type keySet struct {
	primary uint32
	all     map[uint32]*Key
	signed  bool // see Ring.Signed
}

// NewRing returns a ring with one random key.
func NewRing() *Ring {
	return newRing(&keySet{1, map[uint32]*Key{1: NewKey()}, true}, NewKey())
}

func newRing(keys *keySet, index *Key) *Ring {
	r := &Ring{index: index}
	r.keys.Store(keys)
	r.names = r.Derive("index")
	return r
}

// Rotated returns a copy of the keyring with a new primary key. Store the copy
// first, then [Ring.Adopt] it.
func (r *Ring) Rotated() *Ring {
	keys := r.keys.Load()
	all := maps.Clone(keys.all)
	next := slices.Max(slices.Collect(maps.Keys(all))) + 1
	all[next] = NewKey()
	return newRing(&keySet{next, all, keys.signed}, r.index)
}

// Pruned returns a copy of the keyring with only the primary key, and the ids of
// the dropped keys. Records that a dropped key sealed can no longer be opened.
func (r *Ring) Pruned() (pruned *Ring, dropped []uint32) {
	keys := r.keys.Load()
	for _, id := range r.IDs() {
		if id != keys.primary {
			dropped = append(dropped, id)
		}
	}
	only := map[uint32]*Key{keys.primary: keys.all[keys.primary]}
	return newRing(&keySet{keys.primary, only, keys.signed}, r.index), dropped
}

// Signed reports whether the state file of this keyring has a MAC over all its rows. It is
// part of the sealed keyring, so that removing the MAC does not make the file look like
// one of an older format.
func (r *Ring) Signed() bool { return r.keys.Load().signed }

// AsSigned returns a copy of the keyring whose state file has a MAC over all its rows.
func (r *Ring) AsSigned() *Ring {
	keys := r.keys.Load()
	return newRing(&keySet{keys.primary, keys.all, true}, r.index)
}

// Adopt replaces the keys by those of a keyring derived from this one.
func (r *Ring) Adopt(from *Ring) { r.keys.Store(from.keys.Load()) }

// Primary returns the id of the key that seals new records.
func (r *Ring) Primary() uint32 { return r.keys.Load().primary }

// IDs returns the ids of all keys in ascending order.
func (r *Ring) IDs() []uint32 { return slices.Sorted(maps.Keys(r.keys.Load().all)) }

// Seal seals the text with the primary key: id of the key (4) ‖ output of
// [Key.Seal].
func (r *Ring) Seal(text, place []byte) []byte {
	keys := r.keys.Load()
	id := binary.BigEndian.AppendUint32(make([]byte, 0, idBytes+len(text)+Overhead), keys.primary)
	return keys.all[keys.primary].appendSealed(id, text, place)
}

// SealedByPrimary reports whether the primary key sealed the text.
func (r *Ring) SealedByPrimary(sealed []byte) bool {
	return len(sealed) >= idBytes && binary.BigEndian.Uint32(sealed) == r.Primary()
}

// Open opens a text that any key of the keyring sealed for this place. The error
// is ErrNotAuthentic, or gives the id of a key that the keyring lacks.
func (r *Ring) Open(sealed, place []byte) ([]byte, error) {
	if len(sealed) < idBytes {
		return nil, ErrNotAuthentic
	}
	id := binary.BigEndian.Uint32(sealed)
	key, ok := r.keys.Load().all[id]
	if !ok {
		return nil, fmt.Errorf("sealed with key %d, which is not in the keyring: %w", id, ErrNotAuthentic)
	}
	return key.Open(sealed[idBytes:], place)
}

// MACBytes is the length of a [Ring.MAC] in bytes.
const MACBytes = 16

// MAC returns a pseudonym for a name: the first half of HMAC-SHA256 under the
// index key. It reveals nothing without the keyring, and never changes within
// one state file.
func (r *Ring) MAC(name []byte) [MACBytes]byte {
	var sum [sha256.Size]byte
	return [MACBytes]byte(r.names.appendMAC(sum[:0], name))
}

// Derive returns a separate key for each purpose. Like the index key it never
// changes within one state file.
func (r *Ring) Derive(purpose string) *Key {
	raw, err := hkdf.Expand(sha256.New, r.index.seed[:], "strongroom "+purpose, KeyBytes)
	if err != nil {
		panic(err) // only for lengths that HKDF does not allow
	}
	return keyOf(raw)
}

// The plain text of a wrapped keyring is JSON, so that a later version can add
// fields.
type wrappedRing struct {
	Primary uint32            `json:"primary"`
	Keys    map[uint32]string `json:"keys"`
	Index   string            `json:"index"`
	Signed  bool              `json:"signed,omitempty"`
}

// Wrap seals the keyring with the key-encryption key, bound to the id of its
// state file.
func (r *Ring) Wrap(kek *Key, stateID string) ([]byte, error) {
	keys := r.keys.Load()
	w := wrappedRing{Primary: keys.primary, Keys: map[uint32]string{}, Index: r.index.Encode(), Signed: keys.signed}
	for id, key := range keys.all {
		w.Keys[id] = key.Encode()
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the keyring: %w", err)
	}
	defer clear(text)
	return kek.Seal(text, Place("keyring", stateID)), nil
}

// Unwrap opens the output of [Ring.Wrap]. The error is ErrWrongKey, or says that
// the keyring cannot be read.
func Unwrap(wrapped []byte, kek *Key, stateID string) (*Ring, error) {
	text, err := kek.Open(wrapped, Place("keyring", stateID))
	if err != nil {
		return nil, ErrWrongKey
	}
	defer clear(text)
	var w wrappedRing
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, errUnreadable
	}
	return w.ring()
}

// errUnreadable replaces the decoders' own errors, whose texts could quote a key.
var errUnreadable = errors.New("the keyring cannot be read: written by a newer version?")

func (w wrappedRing) ring() (*Ring, error) {
	keys := map[uint32]*Key{}
	for id, text := range w.Keys {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != KeyBytes {
			return nil, errUnreadable
		}
		keys[id] = keyOf(raw)
	}
	index, err := ParseKey(w.Index)
	if err != nil || keys[w.Primary] == nil {
		return nil, errUnreadable
	}
	return newRing(&keySet{w.Primary, keys, w.Signed}, index), nil
}
