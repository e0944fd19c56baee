// Package signin obtains access tokens for a person from an OpenID provider. The program is a public
// client without a secret: [Provider.Browser] uses the authorization code flow with PKCE on a loopback address
// (RFC 8252, RFC 7636), [Provider.Device] the device authorization grant (RFC 8628).
package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/strongroom/strongroom/internal/secret"
)

// DefaultScopes are asked for without others; [oidc.ScopeOfflineAccess] only if the provider has it.
var DefaultScopes = []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess}

// A Client is the registration of this program at the provider.
type Client struct {
	Issuer string
	ID     string
	Scopes []string // empty: DefaultScopes
}

// Tokens are the result of a sign-in.
type Tokens struct {
	Access  secret.Value
	Refresh secret.Value // empty if the provider gives none
	Expires time.Time    // of Access; zero if the provider does not say
	Claims  map[string]any
}

// Endpoints are the addresses that later requests need: those of [Renew] and [Revoke].
type Endpoints struct {
	Token  string
	Revoke string // RFC 7009; empty if the provider has none
}

// A Provider is an OpenID provider with its discovery document.
type Provider struct {
	client   Client
	http     *http.Client
	oidc     *oidc.Provider
	metadata struct {
		Revoke    string   `json:"revocation_endpoint"`
		Scopes    []string `json:"scopes_supported"`
		NamesSelf bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	}
}

// Discover reads the discovery document of the client's issuer (OpenID Connect Discovery 1.0). It
// refuses a document of another issuer, and an address at which others on the network could read tokens.
func Discover(ctx context.Context, c Client, http *http.Client, safe func(address string) error) (*Provider, error) {
	if err := safe(c.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer %s: %w", c.Issuer, err)
	}
	p := &Provider{client: c, http: http}
	var err error
	if p.oidc, err = oidc.NewProvider(p.context(ctx), c.Issuer); err != nil {
		return nil, fmt.Errorf("asking the identity provider: %w", withoutAddress(err))
	}
	if err := p.oidc.Claims(&p.metadata); err != nil {
		return nil, fmt.Errorf("the identity provider's discovery document: %w", err)
	}
	end := p.oidc.Endpoint()
	for _, address := range []string{end.AuthURL, end.TokenURL, end.DeviceAuthURL, p.metadata.Revoke} {
		if address == "" {
			continue
		}
		if err := safe(withoutQuery(address)); err != nil {
			return nil, fmt.Errorf("the identity provider's discovery document: %s: %w", address, err)
		}
	}
	if len(p.client.Scopes) == 0 {
		p.client.Scopes = slices.DeleteFunc(slices.Clone(DefaultScopes), func(scope string) bool {
			return scope == oidc.ScopeOfflineAccess && !slices.Contains(p.metadata.Scopes, scope)
		})
	}
	return p, nil
}

func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.RawQuery = ""
	return u.String()
}

// context makes the libraries use the client's connections.
func (p *Provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.http)
}

// HasDevice reports whether the provider has the device flow.
func (p *Provider) HasDevice() bool { return p.oidc.Endpoint().DeviceAuthURL != "" }

// Endpoints returns the addresses for later requests.
func (p *Provider) Endpoints() Endpoints {
	return Endpoints{Token: p.oidc.Endpoint().TokenURL, Revoke: p.metadata.Revoke}
}

func (p *Provider) config(redirect string) *oauth2.Config {
	return configOf(p.client, p.oidc.Endpoint(), redirect)
}

func configOf(c Client, end oauth2.Endpoint, redirect string) *oauth2.Config {
	end.AuthStyle = oauth2.AuthStyleInParams // a public client has no password to send in a header
	return &oauth2.Config{ClientID: c.ID, Endpoint: end, RedirectURL: redirect, Scopes: c.Scopes}
}

// tokens checks the ID token, if openid was asked for, and returns the result of a sign-in. The nonce is empty
// in the device flow, which has none.
func (p *Provider) tokens(ctx context.Context, t *oauth2.Token, nonce string) (Tokens, error) {
	result := Tokens{Access: secret.Value(t.AccessToken), Refresh: secret.Value(t.RefreshToken), Expires: t.Expiry}
	if !slices.Contains(p.client.Scopes, oidc.ScopeOpenID) {
		return result, nil
	}
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return Tokens{}, errors.New("the identity provider has sent no ID token")
	}
	id, err := p.oidc.Verifier(&oidc.Config{ClientID: p.client.ID}).Verify(p.context(ctx), raw)
	if err != nil {
		return Tokens{}, fmt.Errorf("the identity provider's ID token: %w", err)
	}
	if id.Nonce != nonce {
		return Tokens{}, errors.New("the identity provider's ID token is of another sign-in (nonce)")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(t.AccessToken); err != nil {
			return Tokens{}, errors.New("the identity provider's ID token is not for its access token (at_hash)")
		}
	}
	return result, id.Claims(&result.Claims)
}

// ErrEnded means that the provider does not renew the sign-in any more.
var ErrEnded = errors.New("the sign-in has ended")

// Renew exchanges a refresh token for new tokens. If the result has a refresh token, it
// replaces this one. After [ErrEnded] this one no longer works.
func Renew(ctx context.Context, c Client, end Endpoints, http *http.Client, refresh secret.Value) (Tokens, error) {
	config := configOf(c, oauth2.Endpoint{TokenURL: end.Token}, "")
	t, err := config.TokenSource(oidc.ClientContext(ctx, http), &oauth2.Token{RefreshToken: string(refresh)}).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
		return Tokens{}, ErrEnded
	}
	if err != nil {
		return Tokens{}, explain("renewing the access token", err)
	}
	return Tokens{Access: secret.Value(t.AccessToken), Refresh: secret.Value(t.RefreshToken), Expires: t.Expiry}, nil
}

// Revoke makes the provider forget a token (RFC 7009).
func Revoke(ctx context.Context, c Client, end Endpoints, client *http.Client, token secret.Value, hint string) error {
	form := url.Values{"client_id": {c.ID}, "token": {string(token)}, "token_type_hint": {hint}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, end.Revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, withoutAddress(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the identity provider has answered %s", resp.Status)
	}
	return nil
}

// ErrAway means that the provider did not answer.
var ErrAway = errors.New("the identity provider does not answer")

// explain describes an error of a token endpoint without quoting its answer, which may have tokens.
func explain(doing string, err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w: %w", doing, ErrAway, withoutAddress(err))
	case refused.Response.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("%s: %w: %s", doing, ErrAway, refused.Response.Status)
	case refused.ErrorDescription != "":
		return fmt.Errorf("%s: %s (%s)", doing, clean(refused.ErrorDescription), clean(refused.ErrorCode))
	case refused.ErrorCode != "":
		return fmt.Errorf("%s: the identity provider refuses: %s", doing, clean(refused.ErrorCode))
	}
	return fmt.Errorf("%s: the identity provider has answered %s", doing, refused.Response.Status)
}

// withoutAddress removes the address of a request, which may have a code in its query.
func withoutAddress(err error) error {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return sent.Err
	}
	return err
}
