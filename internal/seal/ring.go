// Package seal encrypts what a store leaves lying around, so that it opens
// only with the keys and only in its own place.
//
// A [Key] does the sealing. A [Ring] holds the keys of a state file: records
// are sealed with its primary key and opened with whichever sealed them. The
// ring lies in the state file itself, sealed with the key-encryption key that
// the operator keeps elsewhere.
package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"sync"
)

const idBytes = 4

// ErrWrongKey means that the key-encryption key is not the one that the ring
// was sealed with, or that the ring is damaged.
var ErrWrongKey = errors.New("this key does not open the keyring")

// A Ring holds the keys that seal a state file's records and the index key
// that hides their names. It is safe for concurrent use.
type Ring struct {
	primary uint32
	keys    map[uint32]*Key
	index   *Key // never rotates: what it names would have to be found again
	macs    sync.Pool
}

// NewRing returns a ring with one random key.
func NewRing() *Ring {
	return newRing(1, map[uint32]*Key{1: NewKey()}, NewKey())
}

func newRing(primary uint32, keys map[uint32]*Key, index *Key) *Ring {
	r := &Ring{primary: primary, keys: keys, index: index}
	// A sub-key, as the key itself may come to serve other purposes.
	macKey := r.Derive("index")
	r.macs.New = func() any { return hmac.New(sha256.New, macKey) }
	return r
}

// Seal seals the text with the primary key: id of the key (4) ‖ what
// [Key.Seal] gives.
func (r *Ring) Seal(text, place []byte) []byte {
	id := binary.BigEndian.AppendUint32(nil, r.primary)
	return append(id, r.keys[r.primary].Seal(text, place)...)
}

// Open opens what any key of the ring has sealed for this place. The error
// is ErrNotAuthentic, or names a key that is not in the ring.
func (r *Ring) Open(sealed, place []byte) ([]byte, error) {
	if len(sealed) < idBytes {
		return nil, ErrNotAuthentic
	}
	id := binary.BigEndian.Uint32(sealed)
	key, ok := r.keys[id]
	if !ok {
		return nil, fmt.Errorf("sealed with key %d, which is not in the keyring: %w", id, ErrNotAuthentic)
	}
	return key.Open(sealed[idBytes:], place)
}

// MACBytes is the length of what [Ring.MAC] returns.
const MACBytes = 16

// MAC gives a name that says nothing to those without the ring: the first
// half of HMAC-SHA256 under the index key. It is the same as long as the
// state file lives.
func (r *Ring) MAC(name []byte) [MACBytes]byte {
	mac := r.macs.Get().(hash.Hash)
	defer r.macs.Put(mac)
	mac.Reset()
	mac.Write(name)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return [MACBytes]byte(sum[:MACBytes])
}

// Derive returns a key for a purpose of its own, which like the index key
// stays the same as long as the state file lives.
func (r *Ring) Derive(purpose string) []byte {
	key, err := hkdf.Expand(sha256.New, r.index.seed[:], "strongroom "+purpose, KeyBytes)
	if err != nil {
		panic(err) // only for lengths that HKDF does not allow
	}
	return key
}

// The ring as it is wrapped: JSON, so that a later version can add to it.
type wrappedRing struct {
	Primary uint32            `json:"primary"`
	Keys    map[uint32]string `json:"keys"`
	Index   string            `json:"index"`
}

// Wrap seals the ring with the key-encryption key for the state file of that
// id.
func (r *Ring) Wrap(kek *Key, stateID string) ([]byte, error) {
	w := wrappedRing{Primary: r.primary, Keys: map[uint32]string{}, Index: r.index.Encode()}
	for id, key := range r.keys {
		w.Keys[id] = key.Encode()
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the keyring: %w", err)
	}
	defer clear(text)
	return kek.Seal(text, Place("keyring", stateID)), nil
}

// Unwrap opens what [Ring.Wrap] wrote. The error is ErrWrongKey or says that
// the ring cannot be read.
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

// errUnreadable stands for all that can be wrong inside: the texts of the
// decoders could hold a key.
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
	return newRing(w.Primary, keys, index), nil
}
