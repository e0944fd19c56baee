package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
)

type object = map[string]any

// An issuer publishes keys over a socket and signs any text with them.
type issuer struct {
	*httptest.Server
	mux *http.ServeMux

	mu      sync.Mutex // guards the fields below
	more    object     // members of the discovery document
	keys    []object   // as they are published
	fetched int        // number of times
	away    bool
}

// rsaKey is generated once, because that takes a while.
var rsaKey = sync.OnceValue(newRSAKey)

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // there is no randomness
	}
	return key
}

func mustECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newIssuer starts an issuer with one key, k1, and one for encryption.
func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(jwk(t, "k1", rsaKey().Public()), object{
		"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "e1", "n": b64(rsaKey().N.Bytes()), "e": "AQAB",
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		document := object{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"}
		maps.Copy(document, i.more)
		_ = json.NewEncoder(w).Encode(document)
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetched++
		if i.away {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(object{"keys": i.keys})
	})
	i.mux, i.Server = mux, httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) setAway(away bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = away
}

func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

// jwk returns a key in the form in which an issuer publishes it.
func jwk(t testing.TB, id string, key crypto.PublicKey) object {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		return object{"kty": "EC", "use": "sig", "crv": k.Params().Name, "kid": id, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "use": "sig", "crv": "Ed25519", "kid": id, "x": b64(k)}
	}
	t.Fatalf("no such key: %T", key)
	return nil
}

func without(o object, names ...string) object {
	o = maps.Clone(o)
	for _, name := range names {
		delete(o, name)
	}
	return o
}

func with(o object, name string, value any) object {
	o = maps.Clone(o)
	o[name] = value
	return o
}

func b64(text []byte) string { return base64.RawURLEncoding.EncodeToString(text) }

func mustJSON(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// header and claims are those of a manager's token from Keycloak.
func header() object { return object{"alg": "RS256", "typ": "JWT", "kid": "k1"} }

func (i *issuer) claims() object {
	now := time.Now()
	return object{
		"exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "jti": "8b1ee2c5-7a9f-4ef0-8f5f-2e5e2b0c1d3a",
		"iss": i.URL, "aud": []string{"account", "strongroom"}, "sub": "f1c2a5b8-0d3e-4f67-9a8b-7c6d5e4f3a2b", "typ": "Bearer",
		"azp": "portal", "sid": "0c5b7a39", "acr": "1", "allowed-origins": []string{"https://portal.example"},
		"realm_access":    object{"roles": []string{"offline_access", "nx1_app_manager", "uma_authorization"}},
		"resource_access": object{"account": object{"roles": []string{"manage-account", "view-profile"}}, "my.app": object{"roles": []string{"clerk"}}},
		"scope":           "openid email profile", "email_verified": true, "preferred_username": "alice", "email": "alice@example.com",
	}
}

// sign returns a token over any header and payload.
func sign(t testing.TB, method jwt.SigningMethod, key any, header, payload []byte) string {
	t.Helper()
	signed := b64(header) + "." + b64(payload)
	signature, err := method.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

// token returns a token that is signed with the algorithm and key of its header.
func token(t testing.TB, header, claims object) string {
	t.Helper()
	return sign(t, jwt.SigningMethodRS256, rsaKey(), mustJSON(t, header), mustJSON(t, claims))
}

func (i *issuer) good(t testing.TB) string {
	t.Helper()
	return token(t, header(), i.claims())
}

func (i *issuer) rules() oidc.Rules {
	all := []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete}
	return oidc.Rules{
		Issuer: i.URL, Audience: "strongroom", Algorithms: []string{"RS256"}, Types: []string{"Bearer", "at+jwt"},
		RolesClaim: []string{"realm_access", "roles"}, UserClaim: "sub",
		Roles: map[string][]secret.Grant{
			"nx1_app_manager": {{Actions: all, Owner: secret.App(secret.AnyID)}},
			"developer":       {{Actions: all}},
		},
	}
}

// newStrategy returns a strategy with the issuer's keys.
func (i *issuer) newStrategy(t testing.TB, rules oidc.Rules) *oidc.Strategy {
	t.Helper()
	keys, err := oidc.NewKeySet(oidc.Source{Issuer: i.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys.Start()
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	return oidc.New(rules, keys)
}

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header["Authorization"] = []string{"Bearer " + token}
	return r
}
