package oidc_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/secret"
)

// No signed token authenticates a caller without a subject, or with grants on all users'
// secrets.
func FuzzSignedTokens(f *testing.F) {
	i := newIssuer(f)
	key := mustECDSA(f, elliptic.P256())
	i.publish(jwk(f, "k", key.Public()))
	rules := i.rules()
	rules.Algorithms = []string{"ES256"}
	s := i.newStrategy(f, rules)
	header := mustJSON(f, object{"alg": "ES256", "typ": "JWT", "kid": "k"})
	f.Add(header, mustJSON(f, i.claims()))
	f.Add(header, mustJSON(f, with(with(i.claims(), "sub", "*"), "realm_access", object{"roles": []string{"developer"}})))
	f.Add(mustJSON(f, object{"alg": "ES256", "typ": "at+jwt", "kid": "k", "x5t": "t"}), mustJSON(f, without(i.claims(), "typ")))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		caller, err := s.Authenticate(request(sign(t, jwt.SigningMethodES256, key, header, payload)))
		if err != nil {
			return
		}
		if caller.Subject == "" {
			t.Error("it is nobody")
		}
		for _, g := range caller.Grants {
			if g.Owner == secret.User(secret.AnyID) || g.Owner == (secret.Owner{}) {
				t.Errorf("it has a grant on %v", g.Owner)
			}
		}
	})
}

// An unsigned token never authenticates.
func FuzzUnsignedTokens(f *testing.F) {
	i := newIssuer(f)
	s := i.newStrategy(f, i.rules())
	good := i.good(f)
	f.Add(good[:len(good)-1])
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if caller, err := s.Authenticate(request(token)); token != good && err == nil {
			t.Errorf("let in as %s", caller.Subject)
		}
	})
}
