package oidc

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"
)

// From outside a cache that forgets nothing looks like one that is bounded.
func TestTheCacheIsBounded(t *testing.T) {
	var c cache
	for n := range 3 * maxVerified {
		hash := sha256.Sum256(binary.AppendUvarint(nil, uint64(n)))
		c.put(hash, verified{expires: time.Now().Add(time.Hour)})
		if _, ok := c.get(hash); !ok || len(c.tokens) > maxVerified {
			t.Fatalf("after %d tokens it has %d, and the last is there: %v", n+1, len(c.tokens), ok)
		}
	}
}
