package auth_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestBearerIsASchemeAndAToken(t *testing.T) {
	for sent, want := range map[string]string{
		"Bearer t": "t", "bearer t": "t", "BEARER t": "t", "Bearer t u": "t u", "Bearer  t": " t",
		"": "-", "Bearer": "-", "Basic t": "-", "Bearert": "-", " Bearer t": "-", "Bearer\tt": "-", "t": "-",
	} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Header.Set("Authorization", sent)
		token, ok := auth.Bearer(r)
		if ok != (want != "-") || ok && token != want {
			t.Errorf("%q: %q, %v", sent, token, ok)
		}
	}
	r := httptest.NewRequest("GET", "/", http.NoBody)
	r.Header["Authorization"] = []string{"Bearer t", "Bearer t"}
	if _, ok := auth.Bearer(r); ok {
		t.Error("one of two was taken")
	}
}

func TestIssuerIsReadFromThePayload(t *testing.T) {
	for payload, want := range map[string]string{
		`{"iss":"a"}`: "a",
		` { "x" : [1, {"iss":"b"}], "iss" : "a" } `: "a",
		`{"iss":"https:\/\/a\u0062"}`:               "https://ab", // as PHP writes it
		`{"iss":"\x"}`:                              "-",
		`{"x":"iss","y":["iss"],"iss":"a"}`:         "a",
		`{"iss" : "a","z":"iss"}`:                   "a",
		`{"x":"\"iss\":\"b\"","iss":"a"}`:           "a",
		`{"x":1,"x":2,"iss":"a"}`:                   "a",
		`{"iss":""}`:                                "",
		`{}`:                                        "-",
		``:                                          "-",
		`null`:                                      "-",
		`["iss","a"]`:                               "-",
		`"iss"`:                                     "-",
		`{"iss":1}`:                                 "-",
		`{"iss":null}`:                              "-",
		`{"iss":["a"]}`:                             "-",
		`{"iss":"a","iss":"a"}`:                     "-",
		`{"iss":"a","iss":"b"}`:                     "-",
		`{"ISS":"a"}`:                               "-",
		`{"iss":"a"`:                                "-",
		`{"iss":"a"}}`:                              "-",
		`{"iss":"a`:                                 "-",
		`{"iss":"`:                                  "-",
		`{"iss":`:                                   "-",
		`{"iss"`:                                    "-",
		`{"x\":`:                                    "-",
		`{"iss":"` + strings.Repeat("a", 600) + `"}`: "-",
	} {
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
		got, ok := auth.Issuer(token)
		if ok != (want != "-") || ok && got != want {
			t.Errorf("%.60s: %q, %v, want %s", payload, got, ok, want)
		}
	}
}

func TestIssuerIgnoresOtherCredentials(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"a"}`))
	for _, token := range []string{
		"", ".", "..", "...", payload, "e30." + payload, "e30." + payload + ".s.t", "e30." + payload + "=.s",
		"e30." + payload[:len(payload)-1] + "R.s", "e30." + payload + "\n.s", "e30." + payload + "." + strings.Repeat("s", 8<<10),
	} {
		if issuer, ok := auth.Issuer(token); ok {
			t.Errorf("%.60q is of %q", token, issuer)
		}
	}
}

func FuzzIssuer(f *testing.F) {
	f.Add([]byte(`{"iss":"a","x":[{}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		issuer, ok := auth.Issuer("e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln")
		if ok && issuer != "" && !strings.Contains(string(payload), "iss") && !strings.Contains(string(payload), `\u`) {
			t.Errorf("%q is of %q", payload, issuer)
		}
	})
}

func TestChallengesNameTheAcceptedCredentials(t *testing.T) {
	both := []auth.Scheme{auth.SchemeBearer, auth.SchemeAPIKey}
	keys := both[1:]
	for _, tc := range []struct {
		name    string
		schemes []auth.Scheme
		status  int
		err     error
		want    []string
	}{
		{"nothing was sent", both, 401, auth.ErrNoCredential, []string{`Bearer realm="strongroom"`, "APIKey"}},
		{"a bad token", both, 401, auth.ErrBadToken, []string{`Bearer realm="strongroom", error="invalid_token"`, "APIKey"}},
		{"a bad key", both, 401, auth.ErrBadCredential, []string{`Bearer realm="strongroom"`, "APIKey"}},
		{"too little a right", both, 403, secret.ErrForbidden, []string{`Bearer realm="strongroom", error="insufficient_scope"`, "APIKey"}},
		{"nothing, for keys only", keys, 401, auth.ErrNoCredential, []string{"APIKey"}},
		{"a token, for keys only", keys, 401, auth.ErrBadToken, []string{"APIKey"}},
		{"too little, for keys only", keys, 403, secret.ErrForbidden, nil},
		{"nothing takes anything", nil, 401, auth.ErrBadCredential, []string{"APIKey"}},
	} {
		got := auth.Challenge(tc.schemes, tc.status, tc.err).Values("WWW-Authenticate")
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func require(chain auth.Chain, headers ...string) error {
	r := httptest.NewRequest("GET", "/", http.NoBody)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	pass := func(echo.Context) error { return nil }
	return auth.Require([]string{"A"}, chain)(pass)(echo.New().NewContext(r, httptest.NewRecorder()))
}

func TestATokenOfAnUnknownIssuerIsRefused(t *testing.T) {
	var asked []string
	var failures counted
	chain := auth.Chain{Strategies: []auth.Strategy{strategy{"A", &asked}}, Failures: &failures, Places: []auth.Place{{Header: "authorization", Prefix: "Bearer "}, {Header: "a"}}}
	if err := require(chain, "Authorization: Bearer t"); !errors.Is(err, auth.ErrBadToken) {
		t.Errorf("a token: %v", err)
	}
	if err := require(chain, "Authorization: Basic t"); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("no token: %v", err)
	}
	if err := require(chain, "Authorization: Bearer t", "A: ann"); !errors.Is(err, auth.ErrTwoCredentials) {
		t.Errorf("a token and a key: %v", err)
	}
}
