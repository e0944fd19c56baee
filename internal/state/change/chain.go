package change

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// ChainBytes is the length of a [Chain].
const ChainBytes = 16

// A Chain authenticates a change set and all sets before it. The zero Chain is the one
// before the first set.
type Chain [ChainBytes]byte

// Next returns the chain after the set with this number and encoding: the first half of
// HMAC-SHA256(key, chain ‖ number (8, little-endian) ‖ encoded set).
func (c Chain) Next(key []byte, seq uint64, encoded []byte) (next Chain) {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(c[:])
	_, _ = mac.Write(binary.LittleEndian.AppendUint64(nil, seq))
	_, _ = mac.Write(encoded)
	copy(next[:], mac.Sum(nil))
	return next
}
