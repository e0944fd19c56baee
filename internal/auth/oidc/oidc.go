// Package oidc authenticates callers by the access tokens of an OpenID Connect
// issuer, such as a realm of Keycloak. It verifies tokens itself, as a resource
// server, without a request to the issuer for each.
//
// It uses no JWT library: they parse too much before they verify the signature,
// too leniently, and would do little else here.
//
// A [Client] also signs people in at the issuer, for the console.
//
// Start reading at [Strategy.Authenticate]. token.go checks a token's form and
// signature, claims.go and types.go its claims, and keyset.go fetches the issuer's
// keys.
package oidc

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// leeway is the accepted difference between the issuer's clock and ours.
const leeway = 30 * time.Second

// Rules are the conditions that tokens must satisfy, and the grants of their callers.
type Rules struct {
	// Issuer is the exact issuer of the tokens (iss).
	Issuer string
	// Audience must be among the audiences of the token (aud). If it is empty,
	// every audience is accepted and Clients must not be empty.
	Audience string
	// Clients are the clients that may have obtained the token (azp, or client_id
	// as in RFC 9068); empty: any.
	Clients []string
	// Algorithms are the accepted signature algorithms, such as RS256.
	Algorithms []string
	// Types are the accepted values of typ, in the payload or in lower case in the
	// header, such as Bearer and at+jwt. NoType accepts tokens without one.
	Types []string
	// RolesClaim is the path of the claim with the caller's roles, such as realm_access,
	// roles.
	RolesClaim []string
	// UserClaim is the claim with the user of custom secrets. Users must not be able to
	// choose its values.
	UserClaim string
	// Roles are the grants of each role; see grant.For for grants without an owner.
	Roles map[string][]secret.Grant
}

// Strategy is an [auth.Strategy] for tokens of one issuer. It is safe for
// concurrent use.
type Strategy struct {
	rules    Rules
	keys     *KeySet
	verified auth.Memory[verified] // until they expire
}

// verified is the cached result of verifying a token.
type verified struct {
	caller  secret.Caller
	key     *key // that signed it
	expires time.Time
}

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy for tokens that satisfy the rules and are signed with one
// of the keys. The caller closes the keys.
func New(rules Rules, keys *KeySet) *Strategy { return &Strategy{rules: rules, keys: keys} }

// Authenticate implements [auth.Strategy]. A token of another issuer is an
// ErrNoCredential. secret.ErrUnavailable means that the issuer's keys could not be
// fetched.
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	token, err := auth.Token(r)
	if err != nil {
		return secret.Caller{}, err
	}
	return s.identify(r.Context(), token)
}

// identify returns the caller of an access token. The errors are those of Authenticate.
func (s *Strategy) identify(ctx context.Context, token string) (secret.Caller, error) {
	hash := auth.HashOf(token)
	if v, ok := s.verified.Get(hash); ok && s.keys.has(v.key) {
		return v.caller, nil
	}
	if err := auth.CheckIssuer(token, s.rules.Issuer); err != nil {
		return secret.Caller{}, err
	}
	v, err := s.verify(ctx, token)
	if err != nil {
		return secret.Caller{}, err
	}
	s.verified.Put(hash, v, v.expires)
	return v.caller, nil
}

// verify returns the caller of a token. A refusal is an [auth.RefusalError].
func (s *Strategy) verify(ctx context.Context, token string) (verified, error) {
	t, k, c, err := s.open(ctx, token)
	if err != nil {
		return verified{}, err
	}
	if err := s.rules.admit(t, c, time.Now()); err != nil {
		return verified{}, err
	}
	caller := s.rules.caller(c)
	caller.Credential = credential{s.keys, k, c.Expires.Add(leeway)}
	return verified{caller, k, c.Expires.Time}, nil
}

// open returns the parts of a token, its claims, and the key that has signed it. It does
// not read the claims before it has verified the signature.
func (s *Strategy) open(ctx context.Context, text string) (t token, k *key, c *claims, err error) {
	if t, err = parse(text); err != nil {
		return t, nil, nil, err
	}
	if !t.algorithmIn(s.rules.Algorithms) {
		return t, nil, nil, auth.Refuse("its algorithm (alg) is not one of algorithms in the config: %s", strings.Join(s.rules.Algorithms, ", "))
	}
	if k, err = s.keys.get(ctx, t.header.KeyID); err != nil {
		return t, nil, nil, err
	}
	if err = t.signedWith(k); err != nil {
		return t, nil, nil, err
	}
	c, err = t.claims()
	return t, k, c, err
}

// credential lets [secret.Service] check a token again before it changes or reveals
// something: the token can expire during a request.
type credential struct {
	keys    *KeySet
	key     *key // that signed it
	expires time.Time
}

// Check implements [secret.Credential].
func (c credential) Check() error {
	if !time.Now().Before(c.expires) || !c.keys.has(c.key) {
		return secret.ErrForbidden
	}
	return nil
}

// Spend implements [secret.Credential]. Reads by tokens are not counted.
func (c credential) Spend(secret.Tx) error { return nil }
