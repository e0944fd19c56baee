package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// try sends a request through the chain to a handler that returns the error.
func try(chain auth.Chain, r *http.Request, end error) error {
	return tryWith(chain, r, func(echo.Context) error { return end })
}

func tryWith(chain auth.Chain, r *http.Request, handle echo.HandlerFunc) error {
	c := echo.New().NewContext(r, httptest.NewRecorder())
	return auth.Require([]string{"A"}, chain)(handle)(c)
}

func from(address, credential string) *http.Request {
	r := httptest.NewRequest("GET", "/", http.NoBody)
	r.RemoteAddr = address
	if credential != "" {
		r.Header.Set("A", credential)
	}
	return r
}

func limited(requests, denials, failures auth.Rate) (auth.Chain, *[]string) {
	asked := &[]string{}
	return auth.Chain{
		Strategies: []auth.Strategy{strategy{"A", asked}}, Failures: &counted{}, Limits: auth.NewLimits(requests, denials, failures),
	}, asked
}

func wantTooMany(t *testing.T, err error) {
	t.Helper()
	if tooMany, ok := errors.AsType[*auth.TooManyError](err); !ok || tooMany.After <= 0 {
		t.Errorf("got %v, want a TooManyError with a time", err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

var (
	none  auth.Rate
	twice = auth.Rate{PerSecond: 0.001, Burst: 2}
)

func TestRequestsAreCountedByCredential(t *testing.T) {
	chain, _ := limited(twice, none, none)
	for range 2 {
		wantError(t, try(chain, from("192.0.2.1:1", "ann"), nil), nil)
	}
	wantTooMany(t, try(chain, from("192.0.2.2:1", "ann"), nil))
	wantError(t, try(chain, from("192.0.2.1:1", "bob"), nil), nil)
}

func TestAfterTooManyFailuresNoStrategyIsCalled(t *testing.T) {
	for _, tc := range []struct{ first, same, other string }{
		{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1"},
		{"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", "[2001:db8:0:1::1]:1"},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", "[fe81::1%eth0]:1"},
	} {
		chain, asked := limited(none, none, twice)
		wantError(t, try(chain, from(tc.first, "bad"), nil), auth.ErrBadCredential)
		wantError(t, try(chain, from(tc.first, "ann"), nil), nil)
		wantError(t, try(chain, from(tc.first, "broken"), nil), errBroken) // counts as a failure
		before := len(*asked)
		wantTooMany(t, try(chain, from(tc.same, "ann"), nil))
		if len(*asked) != before {
			t.Errorf("%s: a strategy was asked", tc.same)
		}
		wantError(t, try(chain, from(tc.other, "bad"), nil), auth.ErrBadCredential)
	}
}

// unavailable is a strategy that cannot check credentials at the moment.
type unavailable struct{}

func (unavailable) Authenticate(*http.Request) (secret.Caller, error) {
	return secret.Caller{}, fmt.Errorf("asking the issuer: %w", secret.ErrUnavailable)
}

func TestAnUnavailableStrategyCountsNoFailure(t *testing.T) {
	chain, _ := limited(none, none, twice)
	chain.Strategies = []auth.Strategy{unavailable{}}
	for range 5 {
		wantError(t, try(chain, from("192.0.2.1:1", "ann"), nil), secret.ErrUnavailable)
	}
}

func TestTooManyDenialsAreRateLimited(t *testing.T) {
	chain, _ := limited(none, twice, none)
	for range 5 {
		wantError(t, try(chain, from("192.0.2.1:1", "ann"), secret.ErrExists), secret.ErrExists)
	}
	for _, refusal := range []error{secret.ErrForbidden, secret.ErrNotFound} {
		wantError(t, try(chain, from("192.0.2.1:1", "ann"), refusal), refusal)
	}
	wantTooMany(t, try(chain, from("192.0.2.1:1", "ann"), nil))
	wantError(t, try(chain, from("192.0.2.1:1", "bob"), nil), nil)
}

func TestATrustedProxyNamesTheClientAddress(t *testing.T) {
	proxies := auth.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"}, // the peer is not a proxy
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1 ,10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1] , 10.0.0.2 "}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1],[fd00::2]"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[::ffff:198.51.100.1]"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"[fe80::1%eth0]"}, "fe80::1%eth0"},
		{"10.0.0.1:1", []string{"[198.51.100.1]"}, "10.0.0.1"}, // not a valid form
		{"10.0.0.1:1", []string{"[2001:db8::1"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"[[2001:db8::1]]"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"@", []string{"198.51.100.1"}, "@"},
	} {
		r := from(tc.peer, "")
		for _, f := range tc.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := proxies.Client(r); got != tc.want {
			t.Errorf("%s for %q: %s, want %s", tc.peer, tc.forwarded, got, tc.want)
		}
		if got := (auth.Proxies{}).Client(r); len(tc.forwarded) > 0 && tc.peer != "@" && got == tc.want && tc.want == "198.51.100.1" {
			t.Errorf("%s for %q: believed without being ours", tc.peer, tc.forwarded)
		}
	}
}

// BenchmarkRequire measures an admitted request: with the default config, without limits,
// and with a limit on requests.
func BenchmarkRequire(b *testing.B) {
	generous := auth.Rate{PerSecond: 1e9, Burst: 1e9}
	for name, l := range map[string]*auth.Limits{
		"none": nil, "default": auth.NewLimits(none, generous, generous), "requests": auth.NewLimits(generous, generous, generous),
	} {
		b.Run(name, func(b *testing.B) {
			h := auth.Require([]string{"A"}, auth.Chain{Strategies: []auth.Strategy{instant{}}, Limits: l})(func(echo.Context) error { return nil })
			c := echo.New().NewContext(nil, httptest.NewRecorder())
			r := from("192.0.2.1:1", "ann")
			b.ReportAllocs()
			for b.Loop() {
				c.SetRequest(r)
				_ = h(c)
			}
		})
	}
}

// instant is a strategy that takes no time.
type instant struct{}

func (instant) Authenticate(*http.Request) (secret.Caller, error) {
	return secret.Caller{Subject: "ann", CredentialID: "k1"}, nil
}

func TestStateIsBroughtUpToDateBeforeTheCredentialIsLookedUp(t *testing.T) {
	chain, asked := limited(none, none, twice)
	order := []string{}
	chain.Fresh = func(r *http.Request) error {
		order = append(order, "fresh for "+r.Header.Get("A")+" after "+fmt.Sprint(len(*asked)))
		if r.Header.Get("A") == "early" {
			return fmt.Errorf("the database does not answer: %w", secret.ErrUnavailable)
		}
		return nil
	}
	for range 3 { // an outage is not the client's failure
		wantError(t, try(chain, from("192.0.2.1:1", "early"), nil), secret.ErrUnavailable)
	}
	if n := len(*chain.Failures.(*counted)); n > 0 {
		t.Errorf("an outage counts as %d failed authentications", n)
	}
	wantError(t, try(chain, from("192.0.2.1:1", "ann"), nil), nil)
	if got, want := fmt.Sprint(order), "[fresh for early after 0 fresh for early after 0 fresh for early after 0 fresh for ann after 0]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := fmt.Sprint(*asked); got != "[A]" {
		t.Errorf("asked %s, want the strategy once", got)
	}
	for range 2 {
		wantError(t, try(chain, from("192.0.2.1:1", "bad"), nil), auth.ErrBadCredential)
	}
	wantTooMany(t, try(chain, from("192.0.2.1:1", "ann"), nil))
	if len(order) != 6 {
		t.Errorf("a request above the limit of failures also asks: %d, want 6", len(order))
	}
}

// With FreshByOperation a credential that is unknown here may be one that another node has
// just created.
func TestStateIsBroughtUpToDateBeforeACredentialIsRefused(t *testing.T) {
	chain, asked := limited(none, none, twice)
	chain.FreshByOperation = true
	fresh := 0
	chain.Fresh = func(*http.Request) error { fresh++; return nil }
	wantError(t, tryWith(chain, from("192.0.2.1:1", "ann"), func(c echo.Context) error {
		caller := auth.Caller(c.Request().Context())
		if fresh != 0 {
			t.Error("asked for a known credential")
		}
		return errors.Join(caller.Fresh(), caller.Fresh())
	}), nil)
	if fresh != 1 {
		t.Errorf("asked %d times for one request, want once", fresh)
	}
	*asked = nil
	wantError(t, try(chain, from("192.0.2.1:1", "bad"), nil), auth.ErrBadCredential)
	if got := len(*asked); fresh != 2 || got != 2 {
		t.Errorf("asked the database %d times and the strategy %d times, want 2 and 2", fresh, got)
	}
	chain.Fresh = func(*http.Request) error { return secret.ErrUnavailable }
	for range 3 {
		wantError(t, try(chain, from("192.0.2.1:1", "bad"), nil), secret.ErrUnavailable)
	}
	if n := len(*chain.Failures.(*counted)); n != 1 {
		t.Errorf("%d failed authentications, want only the one before the outage", n)
	}
}

// A credential that another node has revoked must not learn why its request has failed.
func TestCredentialIsLookedUpAgainBeforeAnErrorIsAnswered(t *testing.T) {
	for _, failed := range []error{secret.ErrForbidden, secret.ErrNotFound, secret.ErrExists, errBroken} {
		for _, isRevoked := range []bool{true, false} {
			chain, _ := limited(none, none, none)
			chain.FreshByOperation = true
			r, want := from("192.0.2.1:1", "ann"), failed
			chain.Strategies = []auth.Strategy{revocable{r}}
			chain.Fresh = func(*http.Request) error {
				if isRevoked {
					r.Header.Set("A", "bad")
				}
				return nil
			}
			if isRevoked {
				want = auth.ErrBadCredential
			}
			wantError(t, try(chain, r, failed), want)
			if got := len(*chain.Failures.(*counted)); (got == 1) != isRevoked {
				t.Errorf("revoked: %v: %d failed authentications", isRevoked, got)
			}
		}
	}
	chain, _ := limited(none, none, none)
	chain.FreshByOperation = true
	r := from("192.0.2.1:1", "ann")
	chain.Fresh = func(*http.Request) error { r.Header.Set("A", "bad"); return nil }
	// An agent key without reads left passes the check, because of its last read.
	wantError(t, try(chain, r, secret.ErrForbidden), auth.ErrBadCredential)
	chain.Fresh = func(*http.Request) error { return secret.ErrUnavailable }
	wantError(t, try(chain, from("192.0.2.1:1", "ann"), secret.ErrExists), secret.ErrUnavailable)
	chain.Fresh = func(*http.Request) error { t.Error("asked once more after an outage"); return nil }
	wantError(t, try(chain, from("192.0.2.1:1", "ann"), secret.ErrUnavailable), secret.ErrUnavailable)
	closed, closing := context.WithCancel(t.Context())
	closing()
	chain.Fresh = func(r *http.Request) error { return r.Context().Err() }
	wantError(t, try(chain, from("192.0.2.1:1", "ann").WithContext(closed), secret.ErrExists), secret.ErrExists)
}

// A read can be counted before the answer turns out to be an error.
func TestRequestThatHasCountedTheLastReadIsAnsweredAsItFails(t *testing.T) {
	for what, tc := range map[string]struct {
		request   func(*agentKey, secret.Credential)
		elsewhere func(*agentKey) // on another node, before the request
		want      error
	}{
		"the last read":          {func(_ *agentKey, c secret.Credential) { _ = c.Spend(nil) }, func(*agentKey) {}, secret.ErrNotFound},
		"the last read, revoked": {func(_ *agentKey, c secret.Credential) { _ = c.Spend(nil) }, func(k *agentKey) { k.revoked = true }, auth.ErrBadCredential},
		"no read":                {func(*agentKey, secret.Credential) {}, func(k *agentKey) { k.reads = 0 }, auth.ErrBadCredential},
		"a read counted on an old state": {func(k *agentKey, c secret.Credential) {
			_ = c.Spend(nil)
			k.reads = 0
			_ = c.Spend(nil) // in the same transaction, run again
		}, func(*agentKey) {}, auth.ErrBadCredential},
	} {
		chain, _ := limited(none, none, none)
		key := &agentKey{reads: 1}
		chain.FreshByOperation, chain.Strategies = true, []auth.Strategy{key}
		chain.Fresh = func(*http.Request) error { tc.elsewhere(key); return nil }
		err := tryWith(chain, from("192.0.2.1:1", "ann"), func(c echo.Context) error {
			tc.request(key, auth.Caller(c.Request().Context()).Credential)
			return secret.ErrNotFound
		})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", what, err, tc.want)
		}
	}
}

// agentKey is a credential that is unknown without reads left.
type agentKey struct {
	reads   int
	revoked bool
}

func (k *agentKey) Authenticate(*http.Request) (secret.Caller, error) {
	if k.revoked || k.reads == 0 {
		return secret.Caller{}, auth.ErrBadCredential
	}
	return secret.Caller{Credential: k}, nil
}

func (k *agentKey) Check() error {
	if k.revoked {
		return secret.ErrForbidden
	}
	return nil
}

func (k *agentKey) Spend(secret.Tx) error {
	if k.revoked || k.reads == 0 {
		return secret.ErrForbidden
	}
	k.reads--
	return nil
}

// revocable is the credential of a request while it is not "bad".
type revocable struct{ r *http.Request }

func (c revocable) Authenticate(*http.Request) (secret.Caller, error) {
	if c.Check() != nil {
		return secret.Caller{}, auth.ErrBadCredential
	}
	return secret.Caller{Credential: c}, nil
}

func (c revocable) Check() error {
	if c.r.Header.Get("A") == "bad" {
		return secret.ErrForbidden
	}
	return nil
}

func (c revocable) Spend(secret.Tx) error { return c.Check() }
