package oidc_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
)

var app = secret.Ref{Owner: secret.App("0f8fad5b-d9cb-469f-a165-70867728950e"), Name: "db"}

func mustLetIn(t *testing.T, s *oidc.Strategy, what, token string) secret.Caller {
	t.Helper()
	caller, err := s.Authenticate(request(token))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return caller
}

func TestATokenAuthenticatesItsCaller(t *testing.T) {
	i := newIssuer(t)
	s := i.newStrategy(t, i.rules())
	for _, what := range []string{"verified", "remembered"} {
		caller := mustLetIn(t, s, what, i.good(t))
		if caller.Subject != "f1c2a5b8-0d3e-4f67-9a8b-7c6d5e4f3a2b" || caller.User != caller.Subject || caller.CredentialID != "portal" {
			t.Errorf("%s: %+v", what, caller)
		}
		if !caller.May(secret.Write, app) || caller.May(secret.Reveal, app) || caller.May(secret.List, secret.Ref{Owner: secret.User(caller.User)}) {
			t.Errorf("%s: it may what %+v allow", what, caller.Grants)
		}
	}
}

func TestUnusualValidTokensAreAccepted(t *testing.T) {
	i := newIssuer(t)
	s := i.newStrategy(t, i.rules())
	now := time.Now()
	c := i.claims()
	for name, token := range map[string]string{
		"its type in other letters":        token(t, with(header(), "typ", "jwt"), c),
		"an access token of RFC 9068":      token(t, with(header(), "typ", "at+jwt"), without(c, "typ")),
		"the same in full":                 token(t, with(header(), "typ", "application/at+jwt"), without(c, "typ", "azp")),
		"a thumbprint of the key":          token(t, with(header(), "x5t", "abc"), c),
		"one audience":                     token(t, header(), with(c, "aud", "strongroom")),
		"no nbf and iat":                   token(t, header(), without(c, "nbf", "iat")),
		"nbf within the leeway":            token(t, header(), with(c, "nbf", now.Add(20*time.Second).Unix())),
		"iat within the leeway":            token(t, header(), with(c, "iat", now.Add(20*time.Second).Unix())),
		"expired within the leeway":        token(t, header(), with(c, "exp", now.Add(-20*time.Second).Unix())),
		"dates with fractions":             token(t, header(), with(c, "exp", float64(now.Unix())+60.5)),
		"a date as issuers like them":      token(t, header(), with(c, "exp", 4.1e9)),
		"a name that is elsewhere, too":    token(t, header(), with(c, "more", object{"iss": "other", "exp": 1})),
		"a member that nobody knows":       token(t, header(), with(c, "cnfx", true)),
		"white space":                      sign(t, jwt.SigningMethodRS256, rsaKey(), append([]byte("\n "), mustJSON(t, header())...), append([]byte("\t"), mustJSON(t, c)...)),
		"no jti":                           token(t, header(), without(c, "jti")),
		"no client":                        token(t, header(), without(c, "azp")),
		"as large as a token can be":       large(t, i, 8<<10),
		"sixteen levels":                   token(t, header(), with(c, "x", nested(15))),
		"a subject with letters of others": token(t, header(), with(c, "sub", "Zoë@例え")),
	} {
		if caller, err := s.Authenticate(request(token)); err != nil || !caller.May(secret.Write, app) {
			t.Errorf("%s: %v, %+v", name, err, caller)
		}
	}
}

// large returns a valid token of about size bytes.
func large(t testing.TB, i *issuer, size int) string {
	t.Helper()
	for n := size; ; n-- {
		if text := token(t, header(), with(i.claims(), "x", strings.Repeat("x", n*3/4-1100))); len(text) <= size {
			return text
		}
	}
}

// nested is a list in a list in a list.
func nested(depth int) any {
	var list any = "x"
	for range depth {
		list = []any{list}
	}
	return list
}

func TestKeysOfEveryAlgorithmAreAccepted(t *testing.T) {
	i := newIssuer(t)
	p256, p384, p521 := mustECDSA(t, elliptic.P256()), mustECDSA(t, elliptic.P384()), mustECDSA(t, elliptic.P521())
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.publish(
		without(jwk(t, "rsa", rsaKey().Public()), "alg", "use"), with(jwk(t, "p256", p256.Public()), "alg", "ES256"),
		jwk(t, "p384", p384.Public()), jwk(t, "p521", p521.Public()), with(jwk(t, "ed", public), "key_ops", []string{"verify"}),
	)
	rules := i.rules()
	rules.Algorithms = nil
	keys := map[string]any{"rsa": rsaKey(), "p256": p256, "p384": p384, "p521": p521, "ed": ed}
	fitting := map[string]string{
		"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
		"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed",
	}
	for algorithm := range fitting {
		rules.Algorithms = append(rules.Algorithms, algorithm)
	}
	s := i.newStrategy(t, rules)
	for algorithm, fit := range fitting {
		for id, key := range keys {
			method := jwt.GetSigningMethod(algorithm)
			h := mustJSON(t, with(with(header(), "kid", id), "alg", algorithm))
			if _, err := method.Sign("x", key); err != nil {
				continue // the key could not be generated
			}
			text := sign(t, method, key, h, mustJSON(t, i.claims()))
			if _, err := s.Authenticate(request(text)); (err == nil) != (id == fit) {
				t.Errorf("%s with %s: %v", algorithm, id, err)
			}
		}
	}
}

func TestTheAlgorithmMustFitConfigAndKey(t *testing.T) {
	i := newIssuer(t)
	published := jwk(t, "k1", rsaKey().Public())
	text := sign(t, jwt.SigningMethodRS512, rsaKey(), mustJSON(t, with(header(), "alg", "RS512")), mustJSON(t, i.claims()))
	for _, tc := range []struct {
		name   string
		config []string
		keys   []object
		ok     bool
	}{
		{"both", []string{"RS256", "RS512"}, []object{with(published, "alg", "RS512")}, true},
		{"both, of a key that is there for each", []string{"RS512"}, []object{with(published, "alg", "RS256"), with(published, "alg", "RS512")}, true},
		{"the config's, and any of the key's", []string{"RS512"}, []object{without(published, "alg")}, true},
		{"the key's alone", []string{"RS256"}, []object{without(published, "alg")}, false},
		{"the config's alone", []string{"RS256", "RS512"}, []object{with(published, "alg", "RS256")}, false},
	} {
		i.publish(tc.keys...)
		rules := i.rules()
		rules.Algorithms = tc.config
		if _, err := i.newStrategy(t, rules).Authenticate(request(text)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestRolesAreReadFromTheConfiguredClaim(t *testing.T) {
	i := newIssuer(t)
	c := i.claims()
	c["groups"] = []any{"nx1_app_manager", 7, nil, []string{"nx1_app_manager"}}
	c["one"] = "nx1_app_manager"
	c["https://example.com/roles"] = []string{"nx1_app_manager"}
	c["resource_access"] = object{"my.app": object{"roles": []string{"nx1_app_manager"}}, "a": []string{"nx1_app_manager"}}
	for _, tc := range []struct {
		path []string
		want bool
	}{
		{[]string{"groups"}, true},
		{[]string{"resource_access", "my.app", "roles"}, true},
		{[]string{"https://example.com/roles"}, true},
		{[]string{"realm_access"}, false},
		{[]string{"realm_access", "roles", "0"}, false},
		{[]string{"one"}, false},
		{[]string{"nowhere"}, false},
		{[]string{"resource_access", "other", "roles"}, false},
		{[]string{"resource_access", "a", "roles"}, false},
	} {
		rules := i.rules()
		rules.RolesClaim = tc.path
		caller := mustLetIn(t, i.newStrategy(t, rules), "", token(t, header(), c))
		if got := caller.May(secret.Write, app); got != tc.want {
			t.Errorf("%q: it may %v, want %v", tc.path, got, tc.want)
		}
	}
}

func TestARoleThatIsNotInTheConfigAllowsNothing(t *testing.T) {
	i := newIssuer(t)
	s := i.newStrategy(t, i.rules())
	for _, roles := range []any{[]string{}, []string{"NX1_APP_MANAGER", "nx1_app_manager ", "*", ""}, nil, "nx1_app_manager", object{"nx1_app_manager": true}} {
		caller := mustLetIn(t, s, "", token(t, header(), with(i.claims(), "realm_access", object{"roles": roles})))
		if len(caller.Grants) != 0 {
			t.Errorf("%v: %+v", roles, caller.Grants)
		}
	}
	if caller := mustLetIn(t, s, "", token(t, header(), without(i.claims(), "realm_access"))); len(caller.Grants) != 0 {
		t.Errorf("without roles: %+v", caller.Grants)
	}
}

// A claim that could be a glob, or is not an id, is not accepted as a user.
func TestSelfMeansTheUserOfTheToken(t *testing.T) {
	i := newIssuer(t)
	rules := i.rules()
	rules.UserClaim = "preferred_username"
	s := i.newStrategy(t, rules)
	for user, want := range map[any]string{
		"alice": "alice", "*": "*", "": "", "a\nb": "", strings.Repeat("u", 256): "", 7: "", nil: "",
	} {
		c := with(with(i.claims(), "preferred_username", user), "realm_access", object{"roles": []string{"developer"}})
		caller := mustLetIn(t, s, "", token(t, header(), c))
		if caller.User != want {
			t.Errorf("%v: user %q, want %q", user, caller.User, want)
		}
		own, others := secret.Ref{Owner: secret.User("alice"), Name: "K"}, secret.Ref{Owner: secret.User("bob"), Name: "K"}
		if caller.May(secret.Write, own) != (user == "alice") || caller.May(secret.Write, others) || caller.May(secret.Write, secret.Ref{Owner: secret.User("")}) {
			t.Errorf("%v: it may what %+v allow", user, caller.Grants)
		}
	}
}

func TestAllowedClientsReplaceAnAudience(t *testing.T) {
	i := newIssuer(t)
	rules := i.rules()
	rules.Audience, rules.Clients = "", []string{"portal", "batch"}
	s := i.newStrategy(t, rules)
	c := without(i.claims(), "aud")
	for name, tc := range map[string]struct {
		claims object
		ok     bool
	}{
		"azp":                       {c, true},
		"client_id":                 {with(without(c, "azp"), "client_id", "batch"), true},
		"another azp":               {with(c, "azp", "other"), false},
		"azp before client_id":      {with(with(c, "azp", "other"), "client_id", "batch"), false},
		"no client":                 {without(c, "azp"), false},
		"a list":                    {with(c, "azp", []string{"portal"}), false},
		"the client in other cases": {with(c, "azp", "Portal"), false},
	} {
		if _, err := s.Authenticate(request(token(t, header(), tc.claims))); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	rules.Clients = nil
	if _, err := i.newStrategy(t, rules).Authenticate(request(i.good(t))); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("with neither audience nor clients: %v", err)
	}
}

func TestTokensOfOtherIssuersAreLeftToOtherStrategies(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	s := i.newStrategy(t, i.rules())
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	requests := map[string]*http.Request{
		"nothing":               r,
		"a token of another's":  request(other.good(t)),
		"a key":                 request("srk_abc_def"),
		"another header's":      {Header: http.Header{"X-Token": {"Bearer " + i.good(t)}}},
		"in a cookie":           {Header: http.Header{"Cookie": {"Authorization=Bearer " + i.good(t)}}},
		"twice":                 {Header: http.Header{"Authorization": {"Bearer " + i.good(t), "Bearer " + i.good(t)}}},
		"with another scheme":   {Header: http.Header{"Authorization": {"DPoP " + i.good(t)}}},
		"without a scheme":      {Header: http.Header{"Authorization": {i.good(t)}}},
		"the issuer and a /":    request(token(t, header(), with(i.claims(), "iss", i.URL+"/"))),
		"the issuer's relative": request(token(t, header(), with(i.claims(), "iss", strings.ToUpper(i.URL)))),
	}
	for name, r := range requests {
		if caller, err := s.Authenticate(r); !errors.Is(err, auth.ErrNoCredential) || caller.Subject != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A request can take longer than its token is valid.
func TestATokenStopsWorkingDuringARequest(t *testing.T) {
	i := newIssuer(t)
	inABubble(t, i, func(t *testing.T, s *oidc.Strategy) {
		caller := mustLetIn(t, s, "valid for 5 minutes", i.good(t))
		for _, tc := range []struct {
			after time.Duration
			want  error
		}{
			{0, nil},
			{5*time.Minute + 29*time.Second, nil}, // within the leeway
			{2 * time.Second, secret.ErrForbidden},
		} {
			time.Sleep(tc.after)
			if err := caller.Credential.Check(); !errors.Is(err, tc.want) {
				t.Errorf("%s later: %v, want %v", tc.after, err, tc.want)
			}
		}
	})
}

func TestATokenStopsWorkingDuringARequestWhenItsKeyIsWithdrawn(t *testing.T) {
	i := newIssuer(t)
	s := i.newStrategy(t, i.rules())
	caller := mustLetIn(t, s, "", i.good(t))
	if err := caller.Credential.Check(); err != nil {
		t.Errorf("before: %v", err)
	}
	next := mustECDSA(t, elliptic.P256())
	i.publish(jwk(t, "k2", next.Public()))
	_, _ = s.Authenticate(request(token(t, with(header(), "kid", "k2"), i.claims()))) // which causes a fetch
	if err := caller.Credential.Check(); !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("afterwards: %v, want %v", err, secret.ErrForbidden)
	}
}
