package change

import "encoding/binary"

// ChainBytes is the length of a [Chain].
const ChainBytes = 16

// A Chain authenticates a change set and all sets before it. The zero Chain is the one
// before the first set.
type Chain [ChainBytes]byte

// A MACKey computes the MACs of a chain: HMAC-SHA256 of the concatenated parts.
type MACKey interface{ MAC(parts ...[]byte) []byte }

// Next returns the chain after the set with this number and encoding: the first half of
// the MAC of chain ‖ number (8, little-endian) ‖ encoded set.
func (c Chain) Next(key MACKey, seq uint64, encoded []byte) (next Chain) {
	copy(next[:], key.MAC(c[:], binary.LittleEndian.AppendUint64(nil, seq), encoded))
	return next
}
