package oidc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
)

// es256 is an issuer with elliptic-curve keys, which are generated quickly.
type es256 struct {
	*issuer
	keys map[string]*ecdsa.PrivateKey
}

func newES256(t *testing.T, ids ...string) es256 {
	t.Helper()
	i := es256{newIssuer(t), map[string]*ecdsa.PrivateKey{}}
	i.have(t, ids...)
	return i
}

// have publishes exactly these keys. It generates missing ones.
func (i es256) have(t *testing.T, ids ...string) {
	t.Helper()
	var list []object
	for _, id := range ids {
		if i.keys[id] == nil {
			i.keys[id] = mustECDSA(t, elliptic.P256())
		}
		list = append(list, jwk(t, id, i.keys[id].Public()))
	}
	i.publish(list...)
}

func (i es256) rules() oidc.Rules {
	rules := i.issuer.rules()
	rules.Algorithms = []string{"ES256"}
	return rules
}

// token returns a token that is valid for an hour, signed with the key.
func (i es256) token(t *testing.T, id string) string {
	t.Helper()
	h := object{"alg": "ES256", "typ": "JWT", "kid": id}
	c := with(i.claims(), "exp", time.Now().Add(time.Hour).Unix())
	return sign(t, jwt.SigningMethodES256, i.keys[id], mustJSON(t, h), mustJSON(t, c))
}

func wantError(t *testing.T, s *oidc.Strategy, what, token string, want error) {
	t.Helper()
	if _, err := s.Authenticate(request(token)); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestANewKeyIsAcceptedAtOnceAndAnOldOneUntilItIsWithdrawn(t *testing.T) {
	i := newES256(t, "a")
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		old := i.token(t, "a")
		mustLetIn(t, s, "the first key", old)
		i.have(t, "a", "b")
		mustLetIn(t, s, "the new key", i.token(t, "b"))
		mustLetIn(t, s, "the old key", i.token(t, "a"))
		i.have(t, "b")
		time.Sleep(6 * time.Minute)
		wantError(t, s, "a remembered token of a key that has left", old, auth.ErrBadCredential)
		mustLetIn(t, s, "the new key, still", i.token(t, "b"))
	})
}

func TestAReplacedKeyOfTheSameIDIsRefused(t *testing.T) {
	i := newES256(t, "a")
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		old := i.token(t, "a")
		mustLetIn(t, s, "before", old)
		delete(i.keys, "a")
		i.have(t, "a")
		time.Sleep(6 * time.Minute)
		wantError(t, s, "of the old key", old, auth.ErrBadCredential)
		mustLetIn(t, s, "of the new one", i.token(t, "a"))
	})
}

func TestUnknownKeysCauseAFetchEvery30SecondsAtMost(t *testing.T) {
	i := newES256(t, "a")
	stranger := newES256(t, "x")
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		mustLetIn(t, s, "a known key", i.token(t, "a"))
		stranger.issuer = i.issuer
		bad := stranger.token(t, "x")
		before := i.fetches()
		for range 299 { // a second each: the keys are fetched anyway after the last
			wantError(t, s, "an unknown key", bad, auth.ErrBadCredential)
			time.Sleep(time.Second)
		}
		if got := i.fetches() - before; got != 10 {
			t.Errorf("%d fetches in five minutes, want 10", got)
		}
	})
}

func TestSignaturesOfOtherLengthsAreRefused(t *testing.T) {
	i := newES256(t, "a")
	s := i.newStrategy(t, i.rules())
	token := i.token(t, "a")
	mustLetIn(t, s, "as it is", token)
	at := strings.LastIndexByte(token, '.') + 1
	for _, n := range []int{0, 2, 4, 42, 43, 84} {
		wantError(t, s, "cut short", token[:at+n], auth.ErrBadCredential)
	}
	wantError(t, s, "with more behind it", token+"AA", auth.ErrBadCredential)
	wantError(t, s, "twice", token+token[at:], auth.ErrBadCredential)
}

// A token without a key id or with an unsupported algorithm causes no request to the
// issuer.
func TestAHopelessTokenCausesNoRequest(t *testing.T) {
	i := newES256(t, "a")
	s := i.newStrategy(t, i.rules())
	mustLetIn(t, s, "a good one", i.token(t, "a"))
	before := i.fetches()
	for _, h := range []object{{"alg": "ES256", "typ": "JWT"}, {"alg": "ES256", "typ": "JWT", "kid": ""}, {"alg": "RS256", "typ": "JWT", "kid": "z"}, {"alg": "none", "typ": "JWT", "kid": "z"}} {
		wantError(t, s, "a bad one", sign(t, jwt.SigningMethodES256, i.keys["a"], mustJSON(t, h), mustJSON(t, i.claims())), auth.ErrBadCredential)
	}
	if got := i.fetches() - before; got != 0 {
		t.Errorf("the keys were fetched %d times", got)
	}
}

func TestConcurrentRequestsForANewKeyShareAFetch(t *testing.T) {
	i := newES256(t, "a")
	s := i.newStrategy(t, i.rules())
	mustLetIn(t, s, "the first key", i.token(t, "a"))
	before := i.fetches()
	i.have(t, "b")
	var wg sync.WaitGroup
	for range 100 {
		token := i.token(t, "b")
		wg.Go(func() {
			if _, err := s.Authenticate(request(token)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := i.fetches() - before; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestKeysStayValidWhileTheIssuerIsUnreachable(t *testing.T) {
	i := newES256(t, "a")
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		mustLetIn(t, s, "before", i.token(t, "a"))
		i.setAway(true)
		time.Sleep(12 * time.Hour)
		mustLetIn(t, s, "while it is away", i.token(t, "a"))
		i.have(t, "a", "b")
		wantError(t, s, "a key that may be new", i.token(t, "b"), secret.ErrUnavailable)
		i.setAway(false)
		time.Sleep(31 * time.Second)
		mustLetIn(t, s, "when it is back", i.token(t, "b"))
	})
}

func TestTheServerStartsWithoutTheIssuer(t *testing.T) {
	i := newES256(t, "a")
	i.setAway(true)
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		keys, err := oidc.NewKeySet(oidc.Source{Issuer: i.URL}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		keys.Start()
		s := oidc.New(i.rules(), keys)
		wantError(t, s, "without the issuer", i.token(t, "a"), secret.ErrUnavailable)
		wantError(t, s, "another issuer's", newES256Token(t), auth.ErrNoCredential)
		time.Sleep(time.Hour)
		i.setAway(false)
		time.Sleep(31 * time.Second)
		mustLetIn(t, s, "with it", i.token(t, "a"))
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "cannot be fetched") || !strings.Contains(lines[1], "were fetched") {
		t.Errorf("the log is\n%s", log.String())
	}
}

// newES256Token returns a token of an unknown issuer.
func newES256Token(t *testing.T) string {
	t.Helper()
	return sign(t, jwt.SigningMethodES256, mustECDSA(t, elliptic.P256()), []byte(`{"alg":"ES256"}`), []byte(`{"iss":"https://elsewhere.example"}`))
}

func TestACachedTokenExpires(t *testing.T) {
	i := newES256(t, "a")
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		token := i.token(t, "a")
		mustLetIn(t, s, "at first", token)
		time.Sleep(time.Hour - time.Second)
		mustLetIn(t, s, "a second before", token)
		time.Sleep(32 * time.Second)
		wantError(t, s, "behind the leeway", token, auth.ErrBadCredential)
	})
}

func TestTheTokenCacheHasAMaximumSize(t *testing.T) {
	i := newES256(t, "a")
	s := i.newStrategy(t, i.rules())
	var tokens []string
	for range 4096 + 100 {
		tokens = append(tokens, i.token(t, "a")) // no two signatures are the same
	}
	for _, token := range tokens {
		mustLetIn(t, s, "one of many", token)
	}
	for _, token := range tokens {
		mustLetIn(t, s, "one of many, again", token)
	}
}

// The wrong issuer counts as unavailable.
func TestInvalidMetadataMakesTheIssuerUnavailable(t *testing.T) {
	i := newES256(t, "a")
	good := jwk(t, "a", i.keys["a"].Public())
	another, third := jwk(t, "a", mustECDSA(t, elliptic.P256()).Public()), jwk(t, "a", mustECDSA(t, elliptic.P256()).Public())
	type answers struct {
		discovery, keys any
		status          int
	}
	var current atomic.Pointer[answers] // the strategy of an earlier case may still fetch
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers := current.Load()
		w.WriteHeader(answers.status)
		answer := answers.keys
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			answer = answers.discovery
		}
		if text, ok := answer.(string); ok {
			_, _ = w.Write([]byte(text))
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	i.issuer.Server = s
	token := i.token(t, "a")
	fine := object{"issuer": s.URL, "jwks_uri": s.URL + "/keys"}
	for name, tc := range map[string]struct {
		discovery, keys any
		status          int
		want            error
	}{
		"as it should be":            {fine, object{"keys": []any{good}}, 200, nil},
		"beside keys of other kinds": {fine, object{"keys": []any{7, nil, object{"kty": "oct", "kid": "s", "k": "c2VjcmV0"}, object{"kty": "PQC"}, good}}, 200, nil},
		"of another issuer":          {with(fine, "issuer", "https://other.example"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"of the issuer and a slash":  {with(fine, "issuer", s.URL+"/"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"without an issuer":          {without(fine, "issuer"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"over plain HTTP":            {with(fine, "jwks_uri", "http://issuer.example/keys"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"in a file":                  {with(fine, "jwks_uri", "file:///etc/passwd"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"nowhere":                    {without(fine, "jwks_uri"), object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"no JSON":                    {"<html>", object{"keys": []any{good}}, 200, secret.ErrUnavailable},
		"keys that are no JSON":      {fine, "<html>", 200, secret.ErrUnavailable},
		"no keys":                    {fine, object{"keys": []any{}}, 200, secret.ErrUnavailable},
		"nothing":                    {fine, object{}, 200, secret.ErrUnavailable},
		"too large":                  {fine, object{"keys": []any{good}, "x": strings.Repeat("x", 1<<20)}, 200, secret.ErrUnavailable},
		"too many":                   {fine, object{"keys": repeat(good, 101)}, 200, secret.ErrUnavailable},
		"an error":                   {fine, object{"keys": []any{good}}, 500, secret.ErrUnavailable},
		"elsewhere":                  {fine, object{"keys": []any{good}}, 302, secret.ErrUnavailable},
		"beside another of its id":   {fine, object{"keys": []any{good, another, jwk(t, "b", i.keys["a"].Public())}}, 200, auth.ErrBadCredential},
		"between others of its id":   {fine, object{"keys": []any{another, good, third, jwk(t, "b", i.keys["a"].Public())}}, 200, auth.ErrBadCredential},
		"after others of its id":     {fine, object{"keys": []any{another, third, good, jwk(t, "b", i.keys["a"].Public())}}, 200, auth.ErrBadCredential},
		"twice":                      {fine, object{"keys": []any{with(good, "alg", "ES256"), good}}, 200, nil},
		"for encryption":             {fine, object{"keys": []any{with(good, "use", "enc")}}, 200, secret.ErrUnavailable},
		"to sign with":               {fine, object{"keys": []any{with(good, "key_ops", []string{"sign"})}}, 200, secret.ErrUnavailable},
		"for another algorithm":      {fine, object{"keys": []any{with(good, "alg", "ES384")}}, 200, secret.ErrUnavailable},
		"not on the curve":           {fine, object{"keys": []any{with(good, "y", good["x"])}}, 200, secret.ErrUnavailable},
		"on no curve":                {fine, object{"keys": []any{with(good, "crv", "secp256k1")}}, 200, secret.ErrUnavailable},
		"with a short coordinate":    {fine, object{"keys": []any{with(good, "x", "AQ")}}, 200, secret.ErrUnavailable},
		"without an id":              {fine, object{"keys": []any{without(good, "kid")}}, 200, secret.ErrUnavailable},
		"a short RSA key":            {fine, object{"keys": []any{object{"kty": "RSA", "kid": "a", "n": b64(bytes.Repeat([]byte{0xff}, 128)), "e": "AQAB"}}}, 200, secret.ErrUnavailable},
		"an endless RSA key":         {fine, object{"keys": []any{object{"kty": "RSA", "kid": "a", "n": b64(bytes.Repeat([]byte{0xff}, 2048)), "e": "AQAB"}}}, 200, secret.ErrUnavailable},
		"an RSA key with exponent 1": {fine, object{"keys": []any{with(jwk(t, "a", rsaKey().Public()), "e", "AQ")}}, 200, secret.ErrUnavailable},
		"an RSA key with a long one": {fine, object{"keys": []any{with(jwk(t, "a", rsaKey().Public()), "e", "AQAAAAAB")}}, 200, secret.ErrUnavailable},
	} {
		current.Store(&answers{tc.discovery, tc.keys, tc.status})
		wantError(t, i.newStrategy(t, i.rules()), name, token, tc.want)
	}
}

func TestKeysAreFetchedOverTLSOrLoopbackOnly(t *testing.T) {
	var log bytes.Buffer
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"issuer": s.URL, "jwks_uri": "http://issuer.example/keys"})
	})
	keys, err := oidc.NewKeySet(oidc.Source{Issuer: s.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	keys.Start()
	i := newES256(t, "a")
	i.issuer.Server = s
	wantError(t, oidc.New(i.rules(), keys), "over plain HTTP", i.token(t, "a"), secret.ErrUnavailable)
	if err := keys.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "its jwks_uri is not https") {
		t.Errorf("the log is %s", log.String())
	}
}

func repeat(key object, n int) (keys []any) {
	for range n {
		keys = append(keys, key)
	}
	return keys
}

func TestKeysCanHaveAnotherAddressThanTheIssuer(t *testing.T) {
	i := newES256(t, "a")
	at := i.URL + "/jwks"
	i.issuer.Server = &httptest.Server{URL: "https://sso.example/realms/r"} // which is out of reach
	keys, err := oidc.NewKeySet(oidc.Source{Issuer: i.URL, JWKS: at}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys.Start()
	t.Cleanup(func() { _ = keys.Close() })
	mustLetIn(t, oidc.New(i.rules(), keys), "by the URL of the keys", i.token(t, "a"))
}

func TestTheCertificateOfAnIssuerIsVerified(t *testing.T) {
	i := newES256(t, "a")
	tls := httptest.NewTLSServer(i.Config.Handler)
	t.Cleanup(tls.Close)
	if _, err := oidc.NewKeySet(oidc.Source{CA: "no certificate"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("something that is no certificate was taken for one")
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw}))
	i.issuer.Server = tls
	for ca, want := range map[string]error{ca: nil, "": secret.ErrUnavailable} {
		keys, err := oidc.NewKeySet(oidc.Source{Issuer: i.URL, JWKS: i.URL + "/jwks", CA: ca}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		keys.Start()
		wantError(t, oidc.New(i.rules(), keys), "with a CA or without", i.token(t, "a"), want)
		_ = keys.Close()
	}
}

func TestPoliciesShareTheirIssuersKeys(t *testing.T) {
	i := newES256(t, "a")
	var sets oidc.KeySets
	open := func(source oidc.Source) *oidc.Lease {
		lease, err := sets.Open(source, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		lease.Start()
		return lease
	}
	source := oidc.Source{Issuer: i.URL}
	old := open(source)
	mustLetIn(t, oidc.New(i.rules(), old.KeySet), "before", i.token(t, "a"))
	i.setAway(true)
	renewed := open(source)
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	mustLetIn(t, oidc.New(i.rules(), renewed.KeySet), "after, although the issuer is away", i.token(t, "a"))
	if err := renewed.Close(); err != nil {
		t.Error(err)
	}
	last := open(source)
	wantError(t, oidc.New(i.rules(), last.KeySet), "with keys that nobody kept", i.token(t, "a"), secret.ErrUnavailable)
	if err := last.Close(); err != nil {
		t.Error(err)
	}
}
