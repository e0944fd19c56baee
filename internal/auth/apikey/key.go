package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
)

// The format of a generated API key:
//
//	srk_<id: 8>_<random: 52><checksum: 7>
//
// in lower-case base32. The prefix and the checksum (CRC-32 of all before it)
// let a scanner find leaked keys offline. The id is not a secret and names the key.
const (
	prefix      = "srk_"
	idBytes     = 5
	randomBytes = 32
)

var digits = base32.StdEncoding.WithPadding(base32.NoPadding)

// Generate returns a new key and its id.
func Generate() (key, id string) {
	random := make([]byte, idBytes+randomBytes)
	_, _ = rand.Read(random)
	id = encode(random[:idBytes])
	key = prefix + id + "_" + encode(random[idBytes:])
	return key + checksum(key), id
}

func checksum(s string) string {
	return encode(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

func encode(b []byte) string { return strings.ToLower(digits.EncodeToString(b)) }

// A Hash is the stored SHA-256 of an API key. A key has 256 random bits, so its hash
// needs neither salt nor stretching.
type Hash [sha256.Size]byte

// HashOf returns the hash of the key.
func HashOf(key string) Hash {
	var room [128]byte // larger than any generated key, so that no copy of it is left on the heap
	return sha256.Sum256(append(room[:0], key...))
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("must be a SHA-256 in %d hexadecimal digits", 2*len(h))
	}
	copy(h[:], raw)
	return nil
}

// MarshalText writes 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
