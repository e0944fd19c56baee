// Package apikey authenticates callers by a random API key in a header, such as
// X-Session-API-Key. It has only hashes of the API keys, see [Keys].
package apikey

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// An Issuer has API keys that are not in a keys file. issued.Keys implements it.
type Issuer interface {
	// Caller returns the caller of the API key with this hash. It compares hashes in
	// constant time, and takes the same time for an unknown one.
	Caller(hash Hash) (secret.Caller, bool)
	// Callers returns the callers of all its API keys.
	Callers() []secret.Caller
}

// Strategy is an [auth.Strategy] for keys in one header.
type Strategy struct {
	header  string
	prefix  string
	keys    map[Hash]Key
	issuers []Issuer
	name    string
	inForce *InForce // nil: keys are not checked again
}

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy for the API keys of a file and of the issuers. Requests send
// them in the header, after the prefix if it is not empty, as "Bearer ". With a
// prefix, values without it and tokens are left to other strategies.
func New(header, prefix string, keys []Key, issuers ...Issuer) *Strategy {
	s := &Strategy{header: http.CanonicalHeaderKey(header), prefix: prefix, keys: map[Hash]Key{}, issuers: issuers}
	for _, k := range keys {
		s.keys[k.SHA256] = k
	}
	return s
}

// Recheck makes the keys of the file stop working for requests in progress once
// the strategy of that name in force no longer has them. It must be called before
// the first request.
func (s *Strategy) Recheck(name string, inForce *InForce) { s.name, s.inForce = name, inForce }

// Authenticate implements [auth.Strategy].
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	sent := r.Header.Values(s.header)
	if len(sent) == 0 {
		return secret.Caller{}, auth.ErrNoCredential
	}
	credential, ours := s.cut(sent[0])
	if !ours {
		return secret.Caller{}, auth.ErrNoCredential
	}
	caller, known := s.Holder(HashOf(credential))
	switch {
	case len(sent) > 1:
		return secret.Caller{}, auth.ErrBadCredential
	case known:
		return caller, nil
	}
	if credential == "" {
		return secret.Caller{}, auth.ErrEmptyCredential
	}
	return secret.Caller{}, errUnknown
}

// Holder returns the caller of the API key with this hash, if the key is valid. API keys
// are found and compared by their hashes, so timing reveals nothing about a near miss.
// Unknown ones take the same path as known ones.
func (s *Strategy) Holder(hash Hash) (caller secret.Caller, known bool) {
	key, listed := s.keys[hash]
	same := subtle.ConstantTimeCompare(hash[:], key.SHA256[:]) == 1
	if listed && same && !key.over(time.Now()) {
		return s.caller(key), true
	}
	for _, issuer := range s.issuers {
		if caller, ok := issuer.Caller(hash); ok {
			return caller, true
		}
	}
	return secret.Caller{}, false
}

var errUnknown = auth.Refuse("it is no API key of this server, or no longer works")

// cut removes the prefix, and reports whether the rest can be an API key. An empty text
// cannot. The prefix may be a scheme, so its case does not matter (RFC 9110, section
// 11.1).
func (s *Strategy) cut(sent string) (credential string, ours bool) {
	n := len(s.prefix)
	if n == 0 {
		return sent, strings.TrimSpace(sent) != ""
	}
	if len(sent) <= n || !strings.EqualFold(sent[:n], s.prefix) {
		return "", false
	}
	return sent[n:], !auth.IsToken(sent[n:])
}

func (s *Strategy) caller(k Key) secret.Caller {
	caller := secret.Caller{Subject: k.Subject, CredentialID: k.ID, User: k.User, Grants: k.grants}
	if s.inForce != nil {
		caller.Credential = fileKey{s.inForce, s.name, k.SHA256}
	}
	return caller
}

// Callers returns the callers of all API keys: those of the file, then issued ones.
func (s *Strategy) Callers() []secret.Caller {
	var callers []secret.Caller
	for _, k := range s.keys {
		if !k.over(time.Now()) {
			callers = append(callers, s.caller(k))
		}
	}
	slices.SortFunc(callers, func(a, b secret.Caller) int { return strings.Compare(a.CredentialID, b.CredentialID) })
	for _, issuer := range s.issuers {
		callers = append(callers, issuer.Callers()...)
	}
	return callers
}
