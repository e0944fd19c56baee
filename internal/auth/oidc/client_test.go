package oidc_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
)

const back = "https://secrets.example/console/signed-in/sso"

// A signIn is a sign-in at an issuer. The test sets the answers of its token endpoint.
type signIn struct {
	*issuer
	t       *testing.T
	client  *oidc.Client
	attempt oidc.Attempt
	asked   url.Values // the last request to the token endpoint
	user    string     // of its Basic authentication
	status  int
	answer  any
}

// newSignIn returns a sign-in that succeeds until the test changes the answer.
func newSignIn(t *testing.T, o oidc.ClientOptions, more object) *signIn {
	t.Helper()
	s := &signIn{issuer: newIssuer(t), t: t, attempt: oidc.NewAttempt(), status: http.StatusOK}
	s.more = object{"authorization_endpoint": s.URL + "/auth", "token_endpoint": s.URL + "/token"}
	maps.Copy(s.more, more)
	s.mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.asked = r.PostForm
		s.user, _, _ = r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.status)
		_ = json.NewEncoder(w).Encode(s.answer)
	})
	keys, err := oidc.NewKeySet(oidc.Source{Issuer: s.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys.Start()
	t.Cleanup(func() { _ = keys.Close() })
	strategy := oidc.New(s.rules(), keys)
	if _, err := strategy.Authenticate(request(s.good(t))); err != nil { // waits until the keys are fetched
		t.Fatal(err)
	}
	s.client = oidc.NewClient(strategy, o)
	s.answer = s.tokens(s.claims(), s.idClaims())
	return s
}

// idClaims are those of an ID token for the client and the attempt.
func (s *signIn) idClaims() object {
	now := time.Now()
	return object{
		"iss": s.URL, "sub": s.claims()["sub"], "aud": "console", "azp": "console", "typ": "ID", "nonce": s.attempt.Nonce,
		"exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(),
	}
}

func (s *signIn) tokens(access, id object) object {
	return object{
		"token_type": "Bearer", "expires_in": 300, "refresh_token": "refresh-1",
		"access_token": token(s.t, header(), access), "id_token": token(s.t, header(), id),
	}
}

func (s *signIn) exchange() (oidc.Tokens, secret.Caller, error) {
	return s.client.Exchange(s.t.Context(), s.attempt, "code-1", back)
}

func TestSignInByCodeWithPKCE(t *testing.T) {
	for _, tc := range []struct {
		options oidc.ClientOptions
		user    string
	}{
		{oidc.ClientOptions{ID: "console", Scopes: []string{"openid", "groups"}}, ""},
		{oidc.ClientOptions{ID: "console", Secret: "client-secret", Scopes: []string{"openid", "groups"}}, "console"},
	} {
		s := newSignIn(t, tc.options, nil)
		to, err := s.client.SignInURL(s.attempt, back)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(to)
		challenge := b64(hash(s.attempt.Verifier))
		want := url.Values{
			"client_id": {"console"}, "response_type": {"code"}, "redirect_uri": {back}, "scope": {"openid groups"},
			"state": {s.attempt.State}, "nonce": {s.attempt.Nonce}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
		}
		if got := u.Query().Encode(); !strings.HasPrefix(to, s.URL+"/auth?") || got != want.Encode() {
			t.Errorf("the browser goes to %s, want %s", to, want.Encode())
		}
		tokens, caller, err := s.exchange()
		if err != nil || caller.Subject != s.claims()["sub"] || len(caller.Grants) == 0 || tokens.Refresh != "refresh-1" {
			t.Errorf("the tokens are of %q with %d grants: %v", caller.Subject, len(caller.Grants), err)
		}
		if s.asked.Get("code") != "code-1" || s.asked.Get("code_verifier") != s.attempt.Verifier || s.asked.Get("redirect_uri") != back || s.user != tc.user {
			t.Errorf("the token endpoint got %v of %q", s.asked, s.user)
		}
		if text := fmt.Sprintf("%v %+v %q", tokens, tokens, tokens); strings.Contains(text, "refresh-1") || strings.Contains(text, "eyJ") {
			t.Errorf("tokens can be printed: %s", text)
		}
	}
}

func hash(text string) []byte { sum := sha256.Sum256([]byte(text)); return sum[:] }

func TestTokensThatDoNotBelongToTheSignInAreRefused(t *testing.T) {
	s := newSignIn(t, oidc.ClientOptions{ID: "console"}, nil)
	access, id := s.claims(), s.idClaims()
	for name, answer := range map[string]object{
		"no ID token":                         without(s.tokens(access, id), "id_token"),
		"no access token":                     without(s.tokens(access, id), "access_token"),
		"an opaque access token":              with(s.tokens(access, id), "access_token", "opaque"),
		"an access token for another service": s.tokens(with(access, "aud", "other"), id),
		"an expired access token":             s.tokens(with(access, "exp", time.Now().Add(-time.Hour).Unix()), id),
		"the ID token for an access token":    with(s.tokens(access, id), "access_token", token(t, header(), id)),
		"the access token for an ID token":    with(s.tokens(access, id), "id_token", token(t, header(), access)),
		"no nonce":                            s.tokens(access, without(id, "nonce")),
		"an empty nonce":                      s.tokens(access, with(id, "nonce", "")),
		"the nonce of another attempt":        s.tokens(access, with(id, "nonce", oidc.NewAttempt().Nonce)),
		"an ID token for another client":      s.tokens(access, with(id, "aud", "shop")),
		"an ID token to another client":       s.tokens(access, with(id, "azp", "shop")),
		"two audiences and no azp":            s.tokens(access, without(with(id, "aud", []string{"console", "shop"}), "azp")),
		"an ID token of another issuer":       s.tokens(access, with(id, "iss", "https://evil.example")),
		"an ID token of another person":       s.tokens(access, with(id, "sub", "mallory")),
		"an expired ID token":                 s.tokens(access, with(id, "exp", time.Now().Add(-time.Hour).Unix())),
		"an ID token without an end":          s.tokens(access, without(id, "exp")),
		"an unsigned ID token":                with(s.tokens(access, id), "id_token", b64([]byte(`{"alg":"none","kid":"k1"}`))+"."+b64(mustJSON(t, id))+"."),
	} {
		s.answer = answer
		if _, caller, err := s.exchange(); !errors.Is(err, auth.ErrBadCredential) && !(name == "no access token" && err != nil) || caller.Subject != "" {
			t.Errorf("%s: signed in as %q, %v", name, caller.Subject, err)
		}
	}
	s.answer = s.tokens(access, id)
	if _, _, err := s.exchange(); err != nil {
		t.Errorf("the right tokens afterwards: %v", err)
	}
}

// The text of an answer can be anything, so it is in no error.
func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	s := newSignIn(t, oidc.ClientOptions{ID: "console"}, nil)
	for _, tc := range []struct {
		status int
		code   string
		want   error
	}{
		{400, "invalid_grant", auth.ErrBadCredential},
		{401, "invalid_client\nlevel=ERROR", auth.ErrBadCredential},
		{400, "canary_" + strings.Repeat("x", 40), auth.ErrBadCredential}, // longer than any code
		{500, "server_error", secret.ErrUnavailable},
		{302, "", secret.ErrUnavailable},
	} {
		s.status, s.answer = tc.status, object{"error": tc.code, "error_description": "canary-text"}
		_, _, err := s.exchange()
		if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d %s: %v, want %v", tc.status, tc.code, err, tc.want)
		}
		if _, err := s.client.Renew(t.Context(), "refresh-1", "x"); !errors.Is(err, tc.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%d %s: renewing: %v, want %v", tc.status, tc.code, err, tc.want)
		}
	}
	s.Close()
	if _, _, err := s.exchange(); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("without the issuer: %v, want that it is unavailable", err)
	}
}

func TestRenewedTokensAreOfTheSamePerson(t *testing.T) {
	s := newSignIn(t, oidc.ClientOptions{ID: "console"}, nil)
	subject := s.claims()["sub"].(string)
	tokens, err := s.client.Renew(t.Context(), "refresh-1", subject)
	if err != nil || tokens.Access == "" || s.asked.Get("refresh_token") != "refresh-1" {
		t.Errorf("%v, after a request with %v", err, s.asked)
	}
	s.answer = s.tokens(with(s.claims(), "sub", "mallory"), nil)
	if _, err := s.client.Renew(t.Context(), "refresh-1", subject); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("tokens of another person: %v", err)
	}
}

func TestUnsafeEndpointsAreNotUsed(t *testing.T) {
	for name, more := range map[string]object{
		"sign-in over HTTP": {"authorization_endpoint": "http://sso.example/auth"},
		"tokens over HTTP":  {"token_endpoint": "http://sso.example/token"},
		"no endpoint":       {"token_endpoint": ""},
	} {
		s := newSignIn(t, oidc.ClientOptions{ID: "console"}, more)
		if to, err := s.client.SignInURL(s.attempt, back); !errors.Is(err, secret.ErrUnavailable) {
			t.Errorf("%s: %s, %v", name, to, err)
		}
	}
}

func TestAnswersOfAnotherIssuerAreRefused(t *testing.T) {
	silent := newSignIn(t, oidc.ClientOptions{ID: "console"}, nil)
	naming := newSignIn(t, oidc.ClientOptions{ID: "console"}, object{"authorization_response_iss_parameter_supported": true})
	for _, tc := range []struct {
		s    *signIn
		iss  string
		good bool
	}{
		{silent, "", true},
		{silent, silent.URL, true},
		{silent, naming.URL, false},
		{naming, "", false},
		{naming, naming.URL, true},
		{naming, naming.URL + "/", false},
	} {
		if err := tc.s.client.CheckAnswer(tc.iss); (err == nil) != tc.good {
			t.Errorf("iss %q at %s: %v", tc.iss, tc.s.URL, err)
		}
	}
}
