package console

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
)

// A provider publishes a key, and answers requests for tokens with the status and a token
// of the subject.
type provider struct {
	*httptest.Server
	t       *testing.T
	key     *rsa.PrivateKey
	status  atomic.Int32
	subject atomic.Value
	asked   atomic.Int32
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key}
	p.status.Store(http.StatusOK)
	p.subject.Store("alice")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": n, "e": "AQAB"}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(p.status.Load()))
		answer := map[string]string{"error": "invalid_grant"}
		if p.status.Load() == http.StatusOK {
			access := p.token(p.subject.Load().(string), time.Now().Add(time.Hour))
			answer = map[string]string{"token_type": "Bearer", "access_token": access, "refresh_token": "next"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// token returns an access token.
func (p *provider) token(subject string, ends time.Time) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://sso.example", "aud": "strongroom", "sub": subject, "azp": "console", "typ": "Bearer", "exp": ends.Unix(), "roles": []string{"reader"},
	})
	token.Header["kid"] = "k1"
	text, err := token.SignedString(p.key)
	if err != nil {
		p.t.Error(err)
	}
	return text
}

// issuer returns the provider as an issuer of the console.
func (p *provider) issuer() Issuer {
	p.t.Helper()
	keys, err := oidc.NewKeySet(oidc.Source{Issuer: "https://sso.example", JWKS: p.URL + "/jwks"}, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	keys.Start()
	p.t.Cleanup(func() { _ = keys.Close() })
	strategy := oidc.New(oidc.Rules{
		Issuer: "https://sso.example", Audience: "strongroom", Algorithms: []string{"RS256"}, Types: []string{"Bearer"}, RolesClaim: []string{"roles"}, UserClaim: "sub",
		Roles: map[string][]secret.Grant{"reader": {{Actions: []secret.Action{secret.List}, Owner: secret.User("a")}}},
	}, keys)
	return Issuer{Name: "sso", Label: "Sign in", Client: oidc.NewClient(strategy, oidc.ClientOptions{ID: "console", AuthURL: p.URL + "/auth", TokenURL: p.URL + "/token"})}
}

func TestTokensOfASessionAreRenewed(t *testing.T) {
	p := startProvider(t)
	s := openSite(t)
	s.Issuers = []Issuer{p.issuer()}
	now := time.Now().UTC()
	soon, past, old := now.Add(time.Hour), now.Add(-time.Minute), now.Add(-renewAfter)
	tokens := func(issuer, refresh string, ends, renewed time.Time) session.Tokens {
		return session.Tokens{Issuer: issuer, Access: secret.Value(p.token("alice", ends)), Refresh: secret.Value(refresh), Renewed: renewed}
	}
	const sso = "https://sso.example"
	for _, tc := range []struct {
		name    string
		tokens  session.Tokens
		answer  int    // of the token endpoint
		subject string // of the new token
		want    int    // the status of a page
		asked   int32  // requests to the token endpoint for two pages
		ends    bool   // the session has ended
	}{
		{"fresh", tokens(sso, "r", soon, now), 200, "alice", 200, 0, false},
		{"old", tokens(sso, "r", soon, old), 200, "alice", 200, 1, false},
		{"over", tokens(sso, "r", past, now), 200, "alice", 200, 1, false},
		{"old, of a person who was removed", tokens(sso, "r", soon, old), 400, "alice", 401, 1, true},
		{"old, and renewed for another person", tokens(sso, "r", soon, old), 200, "mallory", 401, 1, true},
		{"old, and the issuer is away", tokens(sso, "r", soon, old), 503, "alice", 200, 1, false},
		{"over, and the issuer is away", tokens(sso, "r", past, old), 503, "alice", 503, 2, false},
		{"without a refresh token", tokens(sso, "", soon, old), 200, "alice", 200, 0, false},
		{"over, without a refresh token", tokens(sso, "", past, old), 200, "alice", 401, 0, false},
		{"of another person", session.Tokens{Issuer: sso, Access: secret.Value(p.token("mallory", soon)), Renewed: now}, 200, "alice", 401, 0, false},
		{"of another issuer", tokens("https://other.example", "r", soon, old), 200, "alice", 401, 0, false},
	} {
		p.status.Store(int32(tc.answer))
		p.subject.Store(tc.subject)
		p.asked.Store(0)
		token, begun, err := s.Sessions.Begin(t.Context(), secret.Caller{Subject: "alice"}, session.Session{Strategy: "sso", Tokens: tc.tokens})
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{s, cookie(token, 0)}
		for range 2 {
			b.wantStatus(tc.want, "GET", "/console")
		}
		if asked := p.asked.Load(); asked != tc.asked {
			t.Errorf("%s: the issuer was asked %d times, want %d", tc.name, asked, tc.asked)
		}
		left, err := s.Sessions.List()
		if err != nil {
			t.Fatal(err)
		}
		ended := true
		for _, other := range left {
			ended = ended && other.ID != begun.ID
		}
		if ended != tc.ends {
			t.Errorf("%s: ended %t, want %t", tc.name, ended, tc.ends)
		}
	}
}

func TestSigningInSurvivesAnyHost(t *testing.T) {
	p := startProvider(t)
	s := openSite(t)
	s.Issuers = []Issuer{p.issuer()}
	for host, want := range map[string]int{
		"127.0.0.1": 303, "127.0.0.1:": 303, "127.0.0.1:3000": 303, "[::1]:3000": 303, "localhost": 303,
		"127.0.0.1:abc": 421, "127.0.0.1:-1": 421, "127.0.0.1:65536": 421, "localhost:abc": 421, "::1": 303,
	} {
		if resp := s.askIssuerAt(host, "/console/sign-in/sso"); resp.Code != want {
			t.Errorf("Host %q: %d, want %d", host, resp.Code, want)
		}
	}
}

func TestSigningInMovesToTheConfiguredAddressOnce(t *testing.T) {
	p := startProvider(t)
	s := openSite(t)
	s.Issuers, s.URL = []Issuer{p.issuer()}, "https://secrets.example.org"
	const path = "/console/sign-in/sso?next=%2Fconsole%2Faudit"
	to := s.askIssuerAt("127.0.0.1:3000", path).Header().Get("Location")
	here, ok := strings.CutPrefix(to, s.URL)
	if !ok || !strings.Contains(here, "next=%2Fconsole%2Faudit") {
		t.Fatalf("at another address than the configured one: redirected to %q", to)
	}
	// The proxy of the configured address does not pass Host.
	if to := s.askIssuerAt("127.0.0.1:3000", here).Header().Get("Location"); !strings.HasPrefix(to, p.URL+"/auth?") {
		t.Errorf("after one redirect to the configured address: redirected to %q, want the issuer", to)
	}
	s.Named = func(host string) bool { return host == "secrets.example.org" }
	if to := s.askIssuerAt("secrets.example.org", path).Header().Get("Location"); !strings.HasPrefix(to, p.URL+"/auth?") {
		t.Errorf("at the configured address: redirected to %q, want the issuer", to)
	}
}

// askIssuerAt requests the path with this Host header.
func (s *site) askIssuerAt(host, path string) *httptest.ResponseRecorder {
	s.t.Helper()
	req := s.request("GET", path, nil)
	req.Host = host
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w
}
