// Package apikey knows callers by a random key in a header of its own, such as
// X-Session-API-Key. Of the keys it has only hashes, see [Keys].
package apikey

import (
	"crypto/subtle"
	"net/http"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// Strategy is an [auth.Strategy] for keys in one header.
type Strategy struct {
	header string
	keys   map[Hash]Key
}

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy for the keys in the header.
func New(header string, keys []Key) *Strategy {
	s := &Strategy{header: http.CanonicalHeaderKey(header), keys: map[Hash]Key{}}
	for _, k := range keys {
		s.keys[k.SHA256] = k
	}
	return s
}

// Authenticate implements [auth.Strategy].
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	sent := r.Header.Values(s.header)
	if len(sent) == 0 {
		return secret.Caller{}, auth.ErrNoCredential
	}
	// Keys are found and compared by their hashes, so timing says nothing
	// about a near miss. An unknown one takes the same way as a known one.
	hash := HashOf(sent[0])
	key, known := s.keys[hash]
	same := subtle.ConstantTimeCompare(hash[:], key.SHA256[:]) == 1
	if len(sent) > 1 || !known || !same {
		return secret.Caller{}, auth.ErrBadCredential
	}
	return key.caller(), nil
}

func (k Key) caller() secret.Caller {
	return secret.Caller{Subject: k.Subject, Key: k.ID, User: k.User, Grants: k.grants}
}
