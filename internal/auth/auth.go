// Package auth finds out who calls, before anything of the call is read.
//
// A [Strategy] knows one kind of credential; [Require] asks those of an API
// and hands the caller on in the request's context, which is how it crosses
// the generated code. Handlers take it from there with [Caller].
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

var (
	// ErrNoCredential means that the request has no credential of the kind
	// that a strategy knows, so that the next one gets a look; or of any kind.
	ErrNoCredential = errors.New("no credential")
	// ErrBadCredential means that there is one and it is not good, which is
	// final. It does not say why: callers may be guessing.
	ErrBadCredential = errors.New("credential is not valid")
	// ErrBadToken is an ErrBadCredential that came as a bearer token, which
	// RFC 6750 has words for.
	ErrBadToken = fmt.Errorf("bearer token: %w", ErrBadCredential)
	// ErrEmptyCredential is an ErrBadCredential with nothing in it.
	ErrEmptyCredential = fmt.Errorf("empty: %w", ErrBadCredential)
	// ErrTwoCredentials means that the request has more than one credential,
	// so that it is not clear in whose name it comes.
	ErrTwoCredentials = errors.New("more than one credential")
	// ErrElsewhere means that the request comes from where the strategy lets
	// nobody in: another machine, or a web page of another site.
	ErrElsewhere = errors.New("not allowed from there")
)

// A Strategy authenticates requests by one kind of credential.
type Strategy interface {
	// Authenticate returns the caller that the request's credential stands
	// for. If the request has no credential of this kind it returns
	// ErrNoCredential, also where it has one of another kind in the same
	// header: a token of another issuer, or what lacks the strategy's prefix.
	// Any other error is final; secret.ErrUnavailable means that it could not
	// be told.
	Authenticate(r *http.Request) (secret.Caller, error)
}

// Failures counts what failed to authenticate, by the address it came from.
type Failures interface{ Failed(from string) }

// A Chain is how an API's callers are known.
type Chain struct {
	// Strategies in the order in which they are asked for a credential.
	Strategies []Strategy
	// Without is asked of a request that has none; nil lets it in nowhere.
	Without Strategy
	// Failures is told of requests that none of them lets in.
	Failures Failures
	// Limits are how often is too often; nil sets none.
	Limits *Limits
	// Proxies are believed when they say whom they ask for.
	Proxies Proxies
	// Places are where the strategies look for credentials, whether or not the
	// API's document has them.
	Places []Place
	// Schemes are what a 401 asks for, in this order.
	Schemes []Scheme
}

// Require lets only callers through whom the chain knows; the error is
// otherwise one of this package's or the strategy's. The headers are all in
// which the API's document lets a credential be sent. Two credentials that
// strategies of the chain look for are refused, and so is a header that is there
// twice.
func Require(headers []string, chain Chain) echo.MiddlewareFunc {
	headers = slices.Clone(headers)
	for _, p := range chain.Places {
		headers = append(headers, p.Header)
	}
	headers = canonical(headers)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			from, now := chain.Proxies.Client(c.Request()), time.Now()
			caller, err := chain.letIn(c.Request(), headers, from, now)
			if err != nil {
				return err
			}
			caller.From = from
			caller.Request = server.RequestID(c)
			c.SetRequest(c.Request().WithContext(WithCaller(c.Request().Context(), caller)))
			err = next(c)
			if secret.IsDenial(err) {
				chain.Limits.denied(caller, now)
			}
			return err
		}
	}
}

// letIn returns the caller of a request that is within the limits.
func (chain Chain) letIn(r *http.Request, headers []string, from string, now time.Time) (secret.Caller, error) {
	if err := chain.Limits.attempt(from, now); err != nil {
		chain.Failures.Failed(from)
		return secret.Caller{}, err
	}
	caller, err := chain.authenticate(r, headers)
	if err != nil {
		chain.Failures.Failed(from)
		if !errors.Is(err, secret.ErrUnavailable) { // which says nothing of the credential
			chain.Limits.failed(from, now)
		}
		return secret.Caller{}, err
	}
	return caller, chain.Limits.request(caller, now)
}

func (chain Chain) authenticate(r *http.Request, headers []string) (secret.Caller, error) {
	sent := chain.sentIn(r, headers)
	if sent.repeated || sent.ours > 1 {
		return secret.Caller{}, ErrTwoCredentials
	}
	caller, err := chain.ask(r, sent)
	if _, bearer := Bearer(r); bearer && errors.Is(err, ErrBadCredential) {
		err = ErrBadToken
	}
	if refusal := (*RefusalError)(nil); errors.As(err, &refusal) {
		err = refusal.err
	}
	return caller, err
}

func (chain Chain) ask(r *http.Request, sent sent) (secret.Caller, error) {
	for _, s := range chain.Strategies {
		caller, err := s.Authenticate(r)
		if !errors.Is(err, ErrNoCredential) {
			return caller, err
		}
	}
	switch {
	case sent.ours+sent.foreign > 0:
		return secret.Caller{}, ErrBadCredential
	case sent.any && chain.Without != nil: // an empty key or Basic is not anonymous
		return secret.Caller{}, ErrBadCredential
	case chain.Without != nil:
		return chain.Without.Authenticate(r)
	}
	return secret.Caller{}, ErrNoCredential
}

// canonical returns the headers by the names that requests have them under,
// each once.
func canonical(headers []string) []string {
	for i, h := range headers {
		headers[i] = http.CanonicalHeaderKey(h)
	}
	slices.Sort(headers)
	return slices.Compact(headers)
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, caller secret.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// Caller returns the caller that Require found, and one who may nothing where
// it did not look.
func Caller(ctx context.Context) secret.Caller {
	caller, _ := ctx.Value(callerKey{}).(secret.Caller)
	return caller
}
