package oidc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
)

// Only explain shows reasons, and only to administrators.
func TestARefusedTokenHasAReason(t *testing.T) {
	i := newIssuer(t)
	now, h, c := time.Now(), header(), i.claims()
	good := i.good(t)
	part := strings.Split(good, ".")
	for _, tc := range []struct {
		reason string // a part of it
		token  string
		is     error
	}{
		{"larger than 8 KiB", good + strings.Repeat("A", 8<<10), auth.ErrNoCredential},
		{"not a signed token (JWT)", "srk_abc", auth.ErrNoCredential},
		{"not a signed token (JWT)", good + ".a.b", auth.ErrNoCredential},
		{"names no issuer (iss)", token(t, h, without(c, "iss")), auth.ErrNoCredential},
		{"names another issuer (iss) than " + i.URL, token(t, h, with(c, "iss", "https://evil.example")), auth.ErrNoCredential},
		{"its header is larger than 1024 bytes or its signature", token(t, with(h, "kid", strings.Repeat("k", 4000)), c), auth.ErrBadCredential},
		{"its header is not JSON with", token(t, with(h, "jku", "https://evil.example"), c), auth.ErrBadCredential},
		{"which key has signed it (kid)", token(t, without(h, "kid"), c), auth.ErrBadCredential},
		{"algorithm (alg) is not one of algorithms in the config: RS256, ES256", token(t, with(h, "alg", "none"), c), auth.ErrBadCredential},
		{"publishes no key for signatures of the id (kid)", token(t, with(h, "kid", "k9"), c), auth.ErrBadCredential},
		{"that id (kid) is for other algorithms", token(t, with(h, "alg", "ES256"), c), auth.ErrBadCredential},
		{"the issuer's key of that id (kid) does not verify its signature", sign(t, jwt.SigningMethodRS256, newRSAKey(), mustJSON(t, h), mustJSON(t, c)), auth.ErrBadCredential},
		{"the issuer's key of that id (kid) does not verify its signature", part[0] + "." + part[1] + ".", auth.ErrBadCredential},
		{"its payload is not JSON", token(t, h, with(c, "exp", "soon")), auth.ErrBadCredential},
		{"header (typ) is neither JWT nor one of token_types: Bearer, at+jwt", token(t, with(h, "typ", "logout+jwt"), c), auth.ErrBadCredential},
		{"payload (typ) is not one of token_types: Bearer, at+jwt", token(t, h, with(c, "typ", "ID")), auth.ErrBadCredential},
		{"does not say its type (typ) in header and payload, and token_types lacks none", token(t, h, without(c, "typ")), auth.ErrBadCredential},
		{"it has no expiry (exp)", token(t, h, without(c, "exp")), auth.ErrBadCredential},
		{"it expired 2m", token(t, h, with(c, "exp", now.Add(-2*time.Minute).Unix())), auth.ErrBadCredential},
		{"it is not valid before 59m", token(t, h, with(c, "nbf", now.Add(59*time.Minute+59*time.Second).Unix())), auth.ErrBadCredential},
		{"issued 59m", token(t, h, with(c, "iat", now.Add(59*time.Minute+59*time.Second).Unix())), auth.ErrBadCredential},
		{"its audience (aud) does not include strongroom", token(t, h, with(c, "aud", "account")), auth.ErrBadCredential},
		{"(azp, client_id) is not one of clients: portal", token(t, h, with(c, "azp", "other")), auth.ErrBadCredential},
		{"bound to a key", token(t, h, with(c, "cnf", object{"jkt": "x"})), auth.ErrBadCredential},
		{"its subject (sub) is missing", token(t, h, without(c, "sub")), auth.ErrBadCredential},
	} {
		rules := i.rules()
		rules.Clients, rules.Algorithms = []string{"portal"}, []string{"RS256", "ES256"}
		mustRefuse(t, i.newStrategy(t, rules), tc.token, tc.is, tc.reason)
	}
	rules := i.rules()
	rules.Types = append(rules.Types, oidc.NoType)
	mustRefuse(t, i.newStrategy(t, rules), token(t, h, with(without(c, "typ"), "nonce", "n")), auth.ErrBadCredential, "its claims are those of an ID or logout token")
}

func mustRefuse(t *testing.T, s *oidc.Strategy, token string, is error, reason string) {
	t.Helper()
	_, err := s.Authenticate(request(token))
	var refusal *auth.RefusalError
	if !errors.As(err, &refusal) || !errors.Is(err, is) || !strings.Contains(refusal.Reason, reason) {
		t.Errorf("got %v, want … %s …", err, reason)
	}
}

func TestReasonsDoNotQuoteTheToken(t *testing.T) {
	const mark = "qUoTeD"
	i := newIssuer(t)
	rules := i.rules()
	rules.Clients = []string{"portal"}
	s := i.newStrategy(t, rules)
	tokens := []string{mark, mark + "." + mark + "." + mark, token(t, header(), with(with(i.claims(), mark, 1), "exp", nil))}
	for _, name := range []string{"alg", "kid", "typ", mark} {
		tokens = append(tokens, token(t, with(header(), name, mark), i.claims()))
	}
	for _, name := range []string{"iss", "aud", "exp", "nbf", "iat", "typ", "azp", "cnf"} {
		tokens = append(tokens, token(t, header(), with(i.claims(), name, mark)))
	}
	tokens = append(tokens, token(t, header(), with(i.claims(), "sub", mark+"\n")))
	for n, text := range tokens {
		_, err := s.Authenticate(request(text))
		if err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("token %d: %v", n, err)
		}
	}
}
