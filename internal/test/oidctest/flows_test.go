package oidctest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const secrets = "/api/app/0f8fad5b-d9cb-469f-a165-70867728950e/secrets"

// portal returns the client through which users log in.
func (p *provider) portal(client string) oauth2.Config {
	return oauth2.Config{
		ClientID: client, RedirectURL: "http://127.0.0.1/callback", Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{
			AuthURL: p.issuer + "/protocol/openid-connect/auth", TokenURL: p.issuer + "/protocol/openid-connect/token",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// login runs the authorization-code flow with PKCE, like a browser.
func (p *provider) login(t *testing.T, client, user string) *oauth2.Token {
	t.Helper()
	c := p.portal(client)
	verifier := oauth2.GenerateVerifier()
	at := c.AuthCodeURL("state-12345678", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login", user), oauth2.SetAuthURLParam("nonce", "n-12345678"))
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("logging in as %s: %s, back to %v", user, resp.Status, back)
	}
	token, err := c.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// service runs the client-credentials flow.
func (p *provider) service(ctx context.Context, id string) (string, error) {
	c := clientcredentials.Config{
		ClientID: id, ClientSecret: id + "-secret", TokenURL: p.issuer + "/protocol/openid-connect/token", Scopes: []string{"profile"},
		EndpointParams: url.Values{}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := c.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

func (p *provider) mustService(t *testing.T, id string) string {
	t.Helper()
	token, err := p.service(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// An answer is a response that has been read.
type answer struct {
	status     int
	challenges []string
	body       string
}

// send sends a request; headers are Name: value.
func (s *server) send(ctx context.Context, method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Values("WWW-Authenticate"), string(text)}, err
}

// want checks the status and the authentication challenges of an answer.
func (s *server) want(t *testing.T, what string, status int, challenges []string, method, path, body string, headers ...string) answer {
	t.Helper()
	a, err := s.send(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if a.status != status || !slices.Equal(a.challenges, challenges) {
		t.Errorf("%s: %d asking for %q, want %d and %q: %s", what, a.status, a.challenges, status, challenges, a.body)
	}
	return a
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// Authentication challenges in answers.
var (
	anything = []string{`Bearer realm="strongroom"`, "APIKey"}
	another  = []string{`Bearer realm="strongroom", error="invalid_token"`, "APIKey"}
	more     = []string{`Bearer realm="strongroom", error="insufficient_scope"`, "APIKey"}
)

const (
	created = `{"secret_name": "db", "data": [{"key": "PASSWORD", "value": "hunter2"}]}`
	changed = `{"data": [{"key": "PASSWORD", "value": "correct horse"}]}`
)

func TestWhoeverLogsInMayWhatTheirRolesMay(t *testing.T) {
	p := startProvider(t)
	s := startServer(t, p.issuer)
	s.want(t, "with the key", 200, nil, "POST", secrets, created, "Authorization-PSK: "+s.psk)

	alice, bob := p.login(t, "portal", "alice"), p.login(t, "portal", "bob")
	put := func(what string, status int, challenges []string, headers ...string) {
		t.Helper()
		s.want(t, what, status, challenges, "PUT", secrets+"/db", changed, headers...)
	}
	put("a manager", 200, nil, bearer(alice.AccessToken))
	put("a manager again, remembered", 200, nil, bearer(alice.AccessToken))
	put("a user without the role", 403, more, bearer(bob.AccessToken))
	put("a service with the role", 200, nil, bearer(p.mustService(t, "pipeline")))
	put("a service without it", 403, more, bearer(p.mustService(t, "reporter")))
	put("an expired token", 401, another, bearer(p.mustService(t, "stale")))
	put("no token", 401, anything)
	put("an ID token", 401, another, bearer(alice.Extra("id_token").(string)))
	put("a refresh token", 401, another, bearer(alice.RefreshToken))
	put("a token for another audience", 401, another, bearer(p.login(t, "shop", "alice").AccessToken))
	put("a token cut short", 401, another, bearer(alice.AccessToken[:len(alice.AccessToken)-1]))
	put("a token in another scheme", 401, anything, "Authorization: Basic "+alice.AccessToken)
	put("a bad token, and not the good key", 400, nil, bearer("x"), "Authorization-PSK: "+s.psk)
	put("a token of another provider", 401, another, bearer(startProvider(t).mustService(t, "pipeline")))
	s.want(t, "reveal, which the role does not have", 403, more, "GET", secrets+"/db/reveal", "", bearer(alice.AccessToken))

	refreshed, err := (&oauth2.Config{ClientID: "portal", Endpoint: p.portal("portal").Endpoint}).
		TokenSource(t.Context(), &oauth2.Token{RefreshToken: alice.RefreshToken}).Token()
	if err != nil || refreshed.AccessToken == alice.AccessToken {
		t.Fatalf("refreshing: %v", err)
	}
	put("a token that was refreshed", 200, nil, bearer(refreshed.AccessToken))
}

func TestEachHasCustomSecretsOfTheirOwn(t *testing.T) {
	p := startProvider(t)
	s := startServer(t, p.issuer)
	alice, bob := p.login(t, "portal", "alice").AccessToken, p.login(t, "portal", "bob").AccessToken
	s.want(t, "alice's", 201, nil, "POST", "/api/secrets", `{"name": "TOKEN", "value": "v"}`, bearer(alice))
	s.want(t, "bob changes alice's", 404, nil, "PUT", "/api/secrets/TOKEN", `{"name": "MINE"}`, bearer(bob))
	for token, want := range map[string]int{alice: 1, bob: 0} {
		var list struct {
			Secrets []any `json:"custom_secrets"`
		}
		a := s.want(t, "a list", 200, nil, "GET", "/api/secrets", "", bearer(token))
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Secrets) != want {
			t.Errorf("%d secrets, want %d: %v", len(list.Secrets), want, err)
		}
	}
}
