package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	countBytes     = 4
	pastBytes      = 8
	ownerHeadBytes = countBytes + pastBytes
)

// An ownerRow precedes the rows of an owner's secrets. It has the owner's name, the
// number of secrets and the size of the owner's past.
type ownerRow struct {
	key    []byte // MAC(owner)
	owner  secret.Owner
	count  int
	past   int64 // bytes of earlier versions and deleted secrets
	sealed []byte
	stored []byte // the stored row, nil for a new one
}

// owner returns the owner's row, or a new one.
func (s *Store) owner(tx *state.Tx, owner secret.Owner) ownerRow {
	key := s.ownerKey(owner)
	return s.ownerAt(tx, owner, key[:])
}

// ownerAt is owner for a known row key.
func (s *Store) ownerAt(tx *state.Tx, owner secret.Owner, key []byte) ownerRow {
	rows := tx.Bucket(s.secrets)
	stored := rows.Get(key)
	if len(stored) < ownerHeadBytes {
		sealed := s.ring.Seal([]byte(owner.Kind+"\x00"+owner.ID), s.ownerPlace(key))
		return ownerRow{key: key, owner: owner, sealed: sealed}
	}
	o := readOwner(key, stored)
	o.owner = owner
	return o
}

func readOwner(key, stored []byte) ownerRow {
	return ownerRow{
		key:    key,
		count:  int(binary.BigEndian.Uint32(stored)),
		past:   int64(binary.BigEndian.Uint64(stored[countBytes:])), // #nosec G115 -- the reverse of how it was written
		sealed: stored[ownerHeadBytes:],
		stored: stored,
	}
}

// putOwner stores the row, or deletes it if the owner has nothing left.
func (s *Store) putOwner(tx *state.Tx, o ownerRow) error {
	rows := tx.Bucket(s.secrets)
	if o.count <= 0 && o.past <= 0 {
		return rows.Delete(o.key)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(max(o.count, 0))) // #nosec G115 -- a count of rows, far under 2^32
	head = binary.BigEndian.AppendUint64(head, uint64(max(o.past, 0)))
	row := append(head, o.sealed...)
	if bytes.Equal(row, o.stored) { // a new version replaced one of the same size
		return nil
	}
	return rows.Put(o.key, row)
}

// openOwner opens an owner's row.
func (s *Store) openOwner(key, stored []byte) (ownerRow, error) {
	if len(stored) < ownerHeadBytes {
		return ownerRow{}, errDamaged
	}
	o := readOwner(key, stored)
	text, err := s.ring.Open(o.sealed, s.ownerPlace(key))
	if err != nil {
		return ownerRow{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	kind, id, ok := bytes.Cut(text, []byte{0})
	if !ok {
		return ownerRow{}, errDamaged
	}
	o.owner = secret.Owner{Kind: string(kind), ID: string(id)}
	return o, nil
}

func (s *Store) ownerPlace(key []byte) []byte {
	return seal.Place("owner", s.file.ID(), s.name, string(key))
}

// eachOwner yields the first row of each owner in a bucket whose keys begin with
// MAC(owner), and seeks past the owner's other rows. The bucket may change between two
// steps.
func eachOwner(rows state.Bucket) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for from := []byte{0}; from != nil; {
			key, value := first(rows, from)
			if len(key) < seal.MACBytes || !yield(key, value) {
				return
			}
			from = behind(key[:seal.MACBytes])
		}
	}
}

// first returns the first row with a key not before from, or nil.
func first(rows state.Bucket, from []byte) (key, value []byte) {
	for key, value := range rows.From(from) {
		return key, value
	}
	return nil, nil
}

// behind returns the first key after all keys with this prefix, or nil if there is none.
func behind(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}
