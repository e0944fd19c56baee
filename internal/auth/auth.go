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
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

var (
	// ErrNoCredential means that the request has no credential for this strategy. The
	// next strategy is tried.
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
	// ErrElsewhere means that the strategy refuses the origin of the request: another
	// machine, or a web page of another site.
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

// Attempts watches attempts to authenticate, for metrics and the log.
type Attempts interface {
	// Accepted is called for each authenticated request, with the name of the strategy
	// in the config.
	Accepted(strategy string)
	// Refused is called for each request that was refused before it reached the API. The
	// strategy is empty if none has claimed the credential.
	Refused(from, strategy string, err error)
}

// A Chain authenticates the callers of an API.
type Chain struct {
	// Strategies in the order in which they are tried.
	Strategies []Strategy
	// Without authenticates requests that have no credential; nil refuses them.
	Without Strategy
	// Failures counts the refused requests.
	Failures Failures
	// Limits are the rate limits; nil sets none.
	Limits *Limits
	// Fresh brings this process's state up to date; nil if no other process changes it.
	Fresh func(*http.Request) error
	// FreshByOperation leaves Fresh to the operations of secret.Service, most of which do
	// without it, and to handlers that answer without the service (secret.Caller.Confirm).
	// Otherwise it is called before each request is authenticated.
	FreshByOperation bool
	// Budget bounds the memory of requests in flight; nil sets no bound.
	Budget *Budget
	// Proxies are the reverse proxies with a trusted X-Forwarded-For.
	Proxies Proxies
	// Places are all headers in which the strategies look for credentials, also those
	// that the API's document does not mention.
	Places []Place
	// Names are the names of the strategies in the config, in order, followed by the name
	// of Without. Only Attempts uses them.
	Names []string
	// Attempts watches attempts to authenticate; it may be nil.
	Attempts Attempts
	// Requests watches the requests of the API; it may be nil.
	Requests server.Observer
	// Schemes are the schemes that a 401 asks for, in this order.
	Schemes []Scheme
}

// Require passes on only requests that the chain authenticates. Its errors are those of
// this package or of the strategy. Headers are all headers in which the API's document
// allows a credential. A request with two credentials for strategies of the chain, or
// with a repeated header, is refused.
func Require(headers []string, chain Chain) echo.MiddlewareFunc {
	headers = slices.Clone(headers)
	for _, p := range chain.Places {
		headers = append(headers, p.Header)
	}
	headers = canonical(headers)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			known := func() (secret.Caller, int, error) { return chain.authenticate(r, headers) }
			return chain.serve(r, server.RequestID(c), known, func(r *http.Request) error {
				c.SetRequest(r)
				return next(c)
			})
		}
	}
}

// Serve applies the same limits as Require, but gets the caller from known, which for
// example looks up a session. Then it calls handle with the caller in the request's
// context, and returns its error. The id of the request is for the audit log.
func (chain Chain) Serve(r *http.Request, id string, known func() (secret.Caller, error), handle func(*http.Request) error) error {
	return chain.serve(r, id, func() (secret.Caller, int, error) {
		caller, err := known()
		return caller, none, err
	}, handle)
}

// serve is Serve, where known also returns the index of the strategy.
func (chain Chain) serve(r *http.Request, id string, known func() (secret.Caller, int, error), handle func(*http.Request) error) error {
	from, now := chain.Proxies.Client(r), time.Now()
	caller, err := chain.admit(r, known, from, now)
	if err != nil {
		return err
	}
	server.MarkAuthenticated(r)
	caller.From = from
	caller.Request = id
	account := &account{budget: chain.Budget, who: credentialOf(caller)}
	defer account.close()
	caller.Memory = account
	if chain.Fresh != nil && chain.FreshByOperation {
		var counted *counting
		if caller.Credential != nil {
			counted = &counting{Credential: caller.Credential}
			caller.Credential = counted
		}
		caller.Fresh = sync.OnceValue(func() error { return chain.stillKnown(r, known, counted) })
	}
	err = handle(r.WithContext(WithCaller(r.Context(), caller)))
	if err != nil && !errors.Is(err, secret.ErrUnavailable) { // a revoked credential must not learn the reason
		if gone := chain.confirm(caller, now); gone != nil {
			return gone
		}
	}
	if secret.IsRefusal(err) {
		chain.Limits.denied(caller, now)
	}
	return err
}

// confirm returns the error of Caller.Confirm, and counts it unless it is one of the database.
func (chain Chain) confirm(caller secret.Caller, now time.Time) error {
	err := caller.Confirm()
	if errors.Is(err, ErrBadCredential) {
		chain.Failures.Failed(caller.From)
		chain.Limits.failed(caller.From, now)
	}
	return err
}

// stillKnown brings the state up to date, and returns the error for a credential that another
// node had revoked, or that had no reads left there, before the request. A client that has
// closed its side of the connection still gets its answer.
func (chain Chain) stillKnown(r *http.Request, known func() (secret.Caller, int, error), counted *counting) error {
	if err := chain.Fresh(r.WithContext(context.WithoutCancel(r.Context()))); err != nil {
		return err
	}
	_, _, err := known()
	if errors.Is(err, ErrBadCredential) && counted.hasLastRead() {
		return nil
	}
	return err
}

// counting is the credential of a request. It notes whether the request has counted a read.
type counting struct {
	secret.Credential
	read atomic.Bool // by the latest call of Spend: a transaction can run twice
}

// Spend implements [secret.Credential].
func (c *counting) Spend(tx secret.Tx) error {
	err := c.Credential.Spend(tx)
	c.read.Store(err == nil)
	return err
}

// hasLastRead reports whether a valid credential is unknown because this request has counted
// its last read.
func (c *counting) hasLastRead() bool { return c != nil && c.read.Load() && c.Check() == nil }

// admit returns the caller of a request that is within the limits.
func (chain Chain) admit(r *http.Request, known func() (secret.Caller, int, error), from string, now time.Time) (secret.Caller, error) {
	if err := chain.Limits.attempt(from, now); err != nil {
		chain.Failures.Failed(from)
		chain.refused(from, none, err)
		return secret.Caller{}, err
	}
	var caller secret.Caller
	strategy, err := none, ErrNoCredential
	if chain.Fresh == nil || chain.FreshByOperation && r.Method != http.MethodOptions { // which is no operation
		caller, strategy, err = known()
	}
	if err != nil && chain.Fresh != nil { // another node may have created the credential
		if err := chain.Fresh(r); err != nil {
			chain.refused(from, none, err)
			return secret.Caller{}, err
		}
		caller, strategy, err = known()
	}
	if err != nil {
		chain.Failures.Failed(from)
		if !errors.Is(err, secret.ErrUnavailable) { // an outage is not the client's failure
			chain.Limits.failed(from, now)
		}
		chain.refused(from, strategy, err)
		return secret.Caller{}, err
	}
	if chain.Attempts != nil {
		chain.Attempts.Accepted(chain.name(strategy))
	}
	if err := chain.Limits.request(caller, now); err != nil {
		chain.refused(from, strategy, err)
		return secret.Caller{}, err
	}
	return caller, nil
}

// none is the index of no strategy.
const none = -1

func (chain Chain) refused(from string, strategy int, err error) {
	if chain.Attempts != nil {
		chain.Attempts.Refused(from, chain.name(strategy), err)
	}
}

func (chain Chain) name(strategy int) string {
	if strategy == none || strategy >= len(chain.Names) {
		return ""
	}
	return chain.Names[strategy]
}

// authenticate also returns the index of the strategy that claimed the credential.
func (chain Chain) authenticate(r *http.Request, headers []string) (secret.Caller, int, error) {
	sent := chain.sentIn(r, headers)
	if sent.repeated || sent.ours > 1 {
		return secret.Caller{}, none, ErrTwoCredentials
	}
	caller, strategy, err := chain.ask(r, sent)
	if err != nil {
		return caller, strategy, withoutReason(r, err)
	}
	return caller, strategy, nil
}

// withoutReason removes the reason of a refusal from the error, because clients must not
// learn it.
func withoutReason(r *http.Request, err error) error {
	if _, bearer := Bearer(r); bearer && errors.Is(err, ErrBadCredential) {
		return ErrBadToken
	}
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		return refusal.err
	}
	return err
}

func (chain Chain) ask(r *http.Request, sent sent) (caller secret.Caller, strategy int, err error) {
	for i, s := range chain.Strategies {
		caller, err := s.Authenticate(r)
		if !errors.Is(err, ErrNoCredential) {
			return caller, i, err
		}
	}
	switch {
	case sent.ours+sent.foreign > 0:
		return secret.Caller{}, none, ErrBadCredential
	case sent.any && chain.Without != nil: // an empty key or Basic is not anonymous
		return secret.Caller{}, none, ErrBadCredential
	case chain.Without != nil:
		caller, err := chain.Without.Authenticate(r)
		return caller, len(chain.Strategies), err
	}
	return secret.Caller{}, none, ErrNoCredential
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

// Caller returns the caller that Require authenticated, or a caller without rights if
// there is none.
func Caller(ctx context.Context) secret.Caller {
	caller, _ := ctx.Value(callerKey{}).(secret.Caller)
	return caller
}
