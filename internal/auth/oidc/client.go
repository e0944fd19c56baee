package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Client signs people in at the issuer of a strategy, by authorization code with PKCE
// (OpenID Connect Core 1.0, section 3.1; RFC 7636). Access tokens must satisfy the same
// rules as those in requests to an API, and give the same rights. It is safe for
// concurrent use.
type Client struct {
	ClientOptions
	strategy *Strategy
}

// ClientOptions are the registration of a client at the issuer.
type ClientOptions struct {
	ID string
	// Secret of a confidential client; empty: a public client, which has only PKCE.
	Secret secret.Value
	// Scopes to ask for, openid among them.
	Scopes []string
	// AuthURL and TokenURL are the endpoints; empty: those of the discovery document.
	AuthURL, TokenURL string
}

// NewClient returns a client of the strategy's issuer.
func NewClient(s *Strategy, o ClientOptions) *Client { return &Client{o, s} }

// Tokens are the issuer's tokens of one sign-in. Both are credentials.
type Tokens struct {
	Access  secret.Value
	Refresh secret.Value // empty if the issuer gave none
}

// An Attempt has the random values of one sign-in. They bind the issuer's answer to the
// browser that has started it.
type Attempt struct{ State, Nonce, Verifier string }

// NewAttempt returns an attempt with new values of 256 bits each.
func NewAttempt() Attempt {
	return Attempt{oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()}
}

// Issuer returns the URL of the issuer.
func (c *Client) Issuer() string { return c.strategy.rules.Issuer }

// SignInURL returns the address at which the issuer signs people in. The issuer sends them
// back to the redirect URL. secret.ErrUnavailable means that the endpoints are not known yet.
func (c *Client) SignInURL(a Attempt, redirect string) (string, error) {
	config, err := c.config(redirect)
	if err != nil {
		return "", err
	}
	return config.AuthCodeURL(a.State, oauth2.S256ChallengeOption(a.Verifier), oauth2.SetAuthURLParam("nonce", a.Nonce)), nil
}

// Exchange redeems the code of the issuer's answer to the attempt, and returns the tokens
// with their caller. A refusal is an [auth.RefusalError]; secret.ErrUnavailable means
// that the issuer could not be asked.
func (c *Client) Exchange(ctx context.Context, a Attempt, code, redirect string) (Tokens, secret.Caller, error) {
	config, err := c.config(redirect)
	if err != nil {
		return Tokens{}, secret.Caller{}, err
	}
	ctx, cancel := c.context(ctx)
	defer cancel()
	got, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Tokens{}, secret.Caller{}, refusedBy("code", err)
	}
	caller, err := c.Identify(ctx, secret.Value(got.AccessToken))
	if err != nil {
		return Tokens{}, secret.Caller{}, refusedToken("the access token", err)
	}
	id, _ := got.Extra("id_token").(string)
	if err := c.admit(ctx, id, a.Nonce, caller.Subject); err != nil {
		return Tokens{}, secret.Caller{}, refusedToken("the ID token", err)
	}
	return Tokens{secret.Value(got.AccessToken), secret.Value(got.RefreshToken)}, caller, nil
}

// Renew returns new tokens of the same caller. Issuers often accept a refresh token only
// once. The errors are those of Exchange.
func (c *Client) Renew(ctx context.Context, refresh secret.Value, subject string) (Tokens, error) {
	config, err := c.config("")
	if err != nil {
		return Tokens{}, err
	}
	ctx, cancel := c.context(ctx)
	defer cancel()
	got, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: string(refresh)}).Token()
	if err != nil {
		return Tokens{}, refusedBy("refresh token", err)
	}
	caller, err := c.Identify(ctx, secret.Value(got.AccessToken))
	switch {
	case err != nil:
		return Tokens{}, refusedToken("the access token", err)
	case caller.Subject != subject:
		return Tokens{}, auth.Refuse("the access token: its subject (sub) is not the one that has signed in")
	}
	return Tokens{secret.Value(got.AccessToken), secret.Value(got.RefreshToken)}, nil
}

// Identify returns the caller of an access token, as [Strategy.Authenticate] does.
func (c *Client) Identify(ctx context.Context, access secret.Value) (secret.Caller, error) {
	return c.strategy.identify(ctx, string(access))
}

// CheckAnswer refuses an answer that says it is of another issuer (RFC 9207), so that a
// code of one issuer is not sent to another. The parameter is empty if there was none.
func (c *Client) CheckAnswer(issuer string) error {
	e := c.strategy.keys.endpoints.Load()
	if (issuer != "" && issuer != c.Issuer()) || (issuer == "" && e != nil && e.AnswersName) {
		return auth.Refuse("the answer does not say that it is of the issuer %s (iss)", c.Issuer())
	}
	return nil
}

// config returns the parameters of the code flow.
func (c *Client) config(redirect string) (*oauth2.Config, error) {
	at := oauth2.Endpoint{AuthURL: c.AuthURL, TokenURL: c.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
	if c.Secret == "" {
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	if at.AuthURL == "" {
		e := c.strategy.keys.endpoints.Load()
		if e == nil {
			return nil, fmt.Errorf("the issuer's discovery document has not been fetched, or names no safe endpoints: %w", secret.ErrUnavailable)
		}
		at.AuthURL, at.TokenURL = e.Authorization, e.Token
	}
	return &oauth2.Config{ClientID: c.ID, ClientSecret: string(c.Secret), Scopes: c.Scopes, Endpoint: at, RedirectURL: redirect}, nil
}

// context returns a context for requests to the token endpoint.
func (c *Client) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, c.strategy.keys.client), fetchTimeout)
}

// admit refuses an ID token that is not the issuer's for this client, this attempt and this
// subject (OpenID Connect Core 1.0, section 3.1.3.7).
func (c *Client) admit(ctx context.Context, token, nonce, subject string) error {
	if err := auth.CheckIssuer(token, c.Issuer()); err != nil {
		return err
	}
	_, _, claims, err := c.strategy.open(ctx, token)
	if err != nil {
		return err
	}
	switch sent := claims.text("nonce"); {
	case claims.Issuer != c.Issuer():
		return auth.Refuse("it names another issuer (iss) than %s", c.Issuer())
	case !slices.Contains(claims.Audience, c.ID):
		return auth.Refuse("its audience (aud) does not include the client %s", c.ID)
	case claims.Party != c.ID && (claims.Party != "" || len(claims.Audience) > 1):
		return auth.Refuse("it was issued to another client (azp) than %s", c.ID)
	case subtle.ConstantTimeCompare([]byte(sent), []byte(nonce)) != 1:
		return auth.Refuse("it answers another attempt to sign in (nonce)")
	case claims.Subject != subject:
		return auth.Refuse("its subject (sub) is not that of the access token")
	}
	return claims.checkTimes(time.Now())
}

// refusedBy returns the error of a request to the token endpoint, without the answer's text.
func refusedBy(what string, err error) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if ok && answer.Response.StatusCode >= http.StatusBadRequest && answer.Response.StatusCode < http.StatusInternalServerError {
		code := answer.ErrorCode
		if len(code) > 40 || !presentable(code) {
			code = answer.Response.Status
		}
		return auth.Refuse("the issuer refused the %s: %s", what, code)
	}
	if ok {
		err = fmt.Errorf("the answer was %d", answer.Response.StatusCode)
	}
	return fmt.Errorf("asking the issuer for tokens: %w: %w", secret.ErrUnavailable, err)
}

// refusedToken makes every refusal of a token a final one.
func refusedToken(which string, err error) error {
	if errors.Is(err, secret.ErrUnavailable) {
		return err
	}
	reason := err.Error()
	if refusal, ok := errors.AsType[*auth.RefusalError](err); ok {
		reason = refusal.Reason
	}
	return auth.Refuse("%s: %s", which, reason)
}
