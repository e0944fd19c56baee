package auth

import (
	"crypto/sha256"
	"hash"
	"sync"
	"time"
)

// A TokenHash is by which tokens are remembered, so that timing says nothing
// about a near miss.
type TokenHash [sha256.Size]byte

// HashOf returns the hash of a token, without a copy of it.
func HashOf(token string) (sum TokenHash) {
	h := sha256.New()
	Feed(h, token)
	h.Sum(sum[:0])
	return sum
}

// Feed hashes the text without a copy of all of it: it may be large, and
// nobody has verified it yet.
func Feed(h hash.Hash, text string) {
	var part [512]byte
	for text != "" {
		n := copy(part[:], text)
		_, _ = h.Write(part[:n]) // never fails
		text = text[n:]
	}
}

// maxRemembered bounds how many tokens are remembered: some megabytes.
const maxRemembered = 4096

// A Memory knows for a while what tokens stand for: to find that out takes
// longer than all the rest of a request. It is safe for concurrent use.
type Memory[T any] struct {
	mu     sync.RWMutex
	tokens map[TokenHash]remembered[T]
}

type remembered[T any] struct {
	what  T
	until time.Time
}

// Get returns what the token stands for, if that is still remembered.
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

// Put remembers until then what the token stands for, and forgets another if
// it is one too many.
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
