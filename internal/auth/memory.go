package auth

import (
	"crypto/sha256"
	"hash"
	"sync"
	"time"
)

// A TokenHash is the cache key of a token. The timing of a lookup reveals nothing about
// near misses.
type TokenHash [sha256.Size]byte

// HashOf returns the hash of a token without copying the token.
func HashOf(token string) (sum TokenHash) {
	h := sha256.New()
	Feed(h, token)
	h.Sum(sum[:0])
	return sum
}

// Feed hashes the text in small parts, without copying all of it: it is unverified and
// may be large.
func Feed(h hash.Hash, text string) {
	var part [512]byte
	for text != "" {
		n := copy(part[:], text)
		_, _ = h.Write(part[:n]) // never fails
		text = text[n:]
	}
}

// maxRemembered is the maximum number of cached tokens: a few megabytes.
const maxRemembered = 4096

// A Memory is a cache of verified tokens, since verifying one takes longer than the
// rest of a request. It is safe for concurrent use.
type Memory[T any] struct {
	mu     sync.RWMutex
	tokens map[TokenHash]remembered[T]
}

type remembered[T any] struct {
	what  T
	until time.Time
}

// Get returns the cached value of the token, if it has not expired.
func (m *Memory[T]) Get(token TokenHash) (what T, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.tokens[token]
	if !ok || !time.Now().Before(r.until) {
		var nothing T
		return nothing, false
	}
	return r.what, true
}

// Put caches a value for the token until then. It evicts a random token if the cache
// is full.
func (m *Memory[T]) Put(token TokenHash, what T, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == nil {
		m.tokens = map[TokenHash]remembered[T]{}
	}
	for other := range m.tokens { // in no order
		if len(m.tokens) < maxRemembered {
			break
		}
		delete(m.tokens, other)
	}
	m.tokens[token] = remembered[T]{what, until}
}
