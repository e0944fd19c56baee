package oidc

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// maxVerified bounds how many verified tokens are remembered: some megabytes.
const maxVerified = 4096

// verified is what is known of a token that has been verified.
type verified struct {
	caller  secret.Caller
	key     *key // that signed it
	expires time.Time
}

// A cache remembers verified tokens by their SHA-256, until they expire: a
// signature takes longer to verify than all the rest of a request. It is safe
// for concurrent use.
type cache struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]verified
}

func (c *cache) get(hash [sha256.Size]byte) (v verified, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok = c.tokens[hash]
	return v, ok && time.Now().Before(v.expires)
}

// put remembers the token, and forgets another if it is one too many.
func (c *cache) put(hash [sha256.Size]byte, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[[sha256.Size]byte]verified{}
	}
	for other := range c.tokens { // in no order
		if len(c.tokens) < maxVerified {
			break
		}
		delete(c.tokens, other)
	}
	c.tokens[hash] = v
}
