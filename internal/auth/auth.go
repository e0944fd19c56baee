// Package auth authenticates requests before their body is read.
//
// A [Strategy] checks one kind of credential. [Require] asks the strategies of an
// API in their order and puts the caller into the request's context, which carries
// it through the generated code. Handlers read it with [Caller].
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
	// ErrNoCredential means that the request has no credential for this strategy,
	// so that the next one is asked, or no credential at all.
	ErrNoCredential = errors.New("no credential")
	// ErrBadCredential means that the credential is not valid, which is final. It
	// gives no reason, because callers may be guessing.
	ErrBadCredential = errors.New("credential is not valid")
	// ErrBadToken is an ErrBadCredential that was sent as a bearer token. RFC 6750
	// has an error code for it.
	ErrBadToken = fmt.Errorf("bearer token: %w", ErrBadCredential)
	// ErrEmptyCredential is an ErrBadCredential that is empty.
	ErrEmptyCredential = fmt.Errorf("empty: %w", ErrBadCredential)
	// ErrTwoCredentials means that the request has more than one credential, so
	// that its caller is ambiguous.
	ErrTwoCredentials = errors.New("more than one credential")
	// ErrElsewhere means that the strategy refuses the origin of the request:
	// another machine, or a web page of another site.
	ErrElsewhere = errors.New("not allowed from there")
)

// A Strategy authenticates requests by one kind of credential.
type Strategy interface {
	// Authenticate returns the caller of the request's credential. Without a
	// credential of this kind it returns ErrNoCredential, even if the same header
	// has one of another kind: a token of another issuer, or a value without the
	// strategy's prefix. Any other error is final. secret.ErrUnavailable means
	// that the credential could not be checked.
	Authenticate(r *http.Request) (secret.Caller, error)
}

// Failures counts failed authentications by client address.
type Failures interface{ Failed(from string) }

// A Chain authenticates the callers of an API.
type Chain struct {
	// Strategies in the order in which they are asked for a credential.
	Strategies []Strategy
	// Without authenticates requests that have no credential; nil refuses them.
	Without Strategy
	// Failures counts the refused requests.
	Failures Failures
	// Limits are the rate limits; nil sets none.
	Limits *Limits
	// Budget bounds the memory of requests in flight; nil sets no bound.
	Budget *Budget
	// Proxies are the reverse proxies with a trusted X-Forwarded-For.
	Proxies Proxies
	// Places are where the strategies look for credentials, whether or not the
	// API's document has them.
	Places []Place
	// Schemes are the schemes that a 401 asks for, in this order.
	Schemes []Scheme
}

// Require passes on only requests that the chain authenticates. Its error is one
// of this package's or the strategy's. The headers are all those in which the API's
// document allows a credential. Two credentials that strategies of the chain look
// for are refused, and so is a repeated header.
func Require(headers []string, chain Chain) echo.MiddlewareFunc {
	headers = slices.Clone(headers)
	for _, p := range chain.Places {
		headers = append(headers, p.Header)
	}
	headers = canonical(headers)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			known := func() (secret.Caller, error) { return chain.authenticate(r, headers) }
			return chain.Serve(r, server.RequestID(c), known, func(r *http.Request) error {
				c.SetRequest(r)
				return next(c)
			})
		}
	}
}

// Serve lets a request in as Require does, within the same limits, but asks known for the
// caller, as for a page whose session names it. Then it calls handle with the request that
// carries the caller, and returns its error. The id of the request is for the audit log.
func (chain Chain) Serve(r *http.Request, id string, known func() (secret.Caller, error), handle func(*http.Request) error) error {
	from, now := chain.Proxies.Client(r), time.Now()
	caller, err := chain.letIn(known, from, now)
	if err != nil {
		return err
	}
	caller.From = from
	caller.Request = id
	account := &account{budget: chain.Budget, who: credentialOf(caller)}
	defer account.close()
	caller.Memory = account
	err = handle(r.WithContext(WithCaller(r.Context(), caller)))
	if secret.IsRefusal(err) {
		chain.Limits.denied(caller, now)
	}
	return err
}

// letIn returns the caller of a request that is within the limits.
func (chain Chain) letIn(known func() (secret.Caller, error), from string, now time.Time) (secret.Caller, error) {
	if err := chain.Limits.attempt(from, now); err != nil {
		chain.Failures.Failed(from)
		return secret.Caller{}, err
	}
	caller, err := known()
	if err != nil {
		chain.Failures.Failed(from)
		if !errors.Is(err, secret.ErrUnavailable) { // an outage is not the client's failure
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
	if err != nil {
		return caller, withoutReason(r, err)
	}
	return caller, nil
}

// withoutReason returns the error without the reason of a refusal, which clients must
// not learn.
func withoutReason(r *http.Request, err error) error {
	if _, bearer := Bearer(r); bearer && errors.Is(err, ErrBadCredential) {
		return ErrBadToken
	}
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		return refusal.err
	}
	return err
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

// canonical returns the canonical names of the headers, without duplicates.
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

// Caller returns the caller that Require authenticated, and without Require a
// caller without rights.
func Caller(ctx context.Context) secret.Caller {
	caller, _ := ctx.Value(callerKey{}).(secret.Caller)
	return caller
}
