package state

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// The header of a state file is in this bucket. All but the keyring is written directly,
// past the journal.
const headerBucket = "state"

var (
	versionKey  = []byte("version")
	idKey       = []byte("id")
	keyringKey  = []byte("keyring")
	macKey      = []byte("mac")      // see authenticator.seal
	appliedKey  = []byte("applied")  // see header.encodeApplied
	completeKey = []byte("complete") // present while the journal has no further change set
	cacheKey    = []byte("cache")    // present in the cache of a node
)

const idBytes = 16

// A header is the part of the state file that says which journal belongs to it.
type header struct {
	version  int
	id       string
	lineage  [16]byte // random, another one after each restore
	applied  position // of the last change set in bbolt
	complete bool
	cache    bool
	mac      []byte // nil in a file of format 2 or 1
}

// readHeader checks the format version and reads the header.
func readHeader(db *bbolt.DB) (h header, err error) {
	read := func(tx *bbolt.Tx) error {
		b := &boltTx{tx: tx}
		h.version, err = strconv.Atoi(string(b.header(versionKey)))
		if err != nil {
			return errors.New("it is not a state file of Strongroom")
		}
		if h.version < 1 || h.version > FormatVersion {
			return fmt.Errorf("it has format %d, and this version of Strongroom reads formats 1 to %d", h.version, FormatVersion)
		}
		h.id = string(b.header(idKey))
		if id, err := hex.DecodeString(h.id); err != nil || len(id) != idBytes {
			return damaged("its header has no id")
		}
		if h.version == 1 {
			h.complete = true
			return nil
		}
		return h.readPosition(b)
	}
	err = guarded(func() error { return db.View(read) })
	return h, err
}

func (h *header) readPosition(tx *boltTx) error {
	if err := h.readApplied(tx); err != nil || h.version == unauthenticVersion {
		return err
	}
	if h.mac = bytes.Clone(tx.header(macKey)); len(h.mac) != macBytes {
		return damaged("its header has no MAC over its rows")
	}
	return nil
}

func (h *header) readApplied(tx *boltTx) error {
	b := tx.header(appliedKey)
	if len(b) != appliedBytes || !bytes.Equal(b, withSum(b[:appliedBytes-sumLength])) {
		return damaged("its header does not say which journal belongs to it")
	}
	b = b[copy(h.lineage[:], b):]
	h.applied.seq = order.Uint64(b)
	copy(h.applied.chain[:], b[8:])
	h.complete, h.cache = tx.header(completeKey) != nil, tx.header(cacheKey) != nil
	return nil
}

const (
	sumLength    = 4
	appliedBytes = 16 + 8 + change.ChainBytes + sumLength
)

// encodeApplied returns lineage (16) ‖ number of the last change set in bbolt (8) ‖ its
// chain (16) ‖ CRC-32C (4).
func encodeApplied(lineage [16]byte, at position) []byte {
	b := order.AppendUint64(bytes.Clone(lineage[:]), at.seq)
	return withSum(append(b, at.chain[:]...))
}

func withSum(b []byte) []byte {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return order.AppendUint32(bytes.Clone(b), sum)
}

// identity returns the identity of the journal that belongs to the file.
func (h *header) identity() (id journal.Identity) {
	_, _ = hex.Decode(id.State[:], []byte(h.id)) // readHeader has decoded it
	id.Lineage = h.lineage
	return id
}

// put writes the header of a complete file.
func (h *header) put(tx *boltTx) error {
	return errors.Join(
		tx.putHeader(versionKey, []byte(strconv.Itoa(h.version))),
		tx.putHeader(idKey, []byte(h.id)),
		tx.putHeader(appliedKey, encodeApplied(h.lineage, h.applied)),
		tx.putHeader(completeKey, []byte{1}),
	)
}

// Keyring returns the wrapped keyring.
func (f *File) Keyring() (wrapped []byte, err error) {
	err = f.View(func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		wrapped = append(wrapped, header.Get(keyringKey)...)
		return nil
	})
	return wrapped, err
}

// SwapKeyring replaces the wrapped keyring if it is still before. It reports whether it
// was, and returns when the new one is on disk.
func (f *File) SwapKeyring(ctx context.Context, before, after []byte) (swapped bool, err error) {
	err = f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		if swapped = bytes.Equal(header.Get(keyringKey), before); !swapped {
			return nil
		}
		return header.Put(keyringKey, after)
	})
	return swapped && err == nil, err
}

// WatchKeyring is [File.Watch] for the wrapped keyring.
func (f *File) WatchKeyring(fn func(wrapped []byte)) {
	f.Watch(headerBucket, func(rows []Row) {
		for _, r := range rows {
			if bytes.Equal(r.Key, keyringKey) {
				fn(r.Value)
			}
		}
	})
}
