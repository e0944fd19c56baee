package auth

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/ratelimit"
	"github.com/strongroom/strongroom/internal/secret"
)

// TooManyError means that a rate limit was exceeded.
type TooManyError struct {
	// Limit is the field under limits in the config: requests, denials or failures.
	Limit string
	// After is the time to wait before the next request.
	After time.Duration
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many requests: try again after %s", e.After)
}

// A Rate is a long-term rate per second and a burst. The zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are rate limits. They are checked before a request's body is read. They
// are safe for concurrent use.
type Limits struct {
	requests, denials *ratelimit.Buckets[credential]
	failures          *ratelimit.Buckets[netip.Prefix]
}

// A credential identifies the requests that are counted together.
type credential struct{ subject, key string }

func credentialOf(c secret.Caller) credential { return credential{c.Subject, c.CredentialID} }

// NewLimits returns limits on the requests of one credential, on its denied requests and
// those for secrets that do not exist, and on failed authentications from one address.
// All requests of a credential with too many denials are refused until the rate allows
// another denial. The same applies to an address with too many failures.
func NewLimits(requests, denials, failures Rate) *Limits {
	return &Limits{buckets[credential](requests), buckets[credential](denials), buckets[netip.Prefix](failures)}
}

func buckets[K comparable](r Rate) *ratelimit.Buckets[K] {
	if r.PerSecond == 0 {
		return nil
	}
	return ratelimit.New[K](r.PerSecond, r.Burst)
}

// attempt refuses an address with too many failed authentications.
func (l *Limits) attempt(from string, now time.Time) error {
	if l == nil || l.failures.Empty() {
		return nil
	}
	return tooMany("failures", l.failures.Wait(network(from), now))
}

// failed counts a failed authentication.
func (l *Limits) failed(from string, now time.Time) {
	if l != nil {
		l.failures.Take(network(from), now)
	}
}

// request counts a request, and refuses it above the limit.
func (l *Limits) request(c secret.Caller, now time.Time) error {
	if l == nil {
		return nil
	}
	who := credentialOf(c)
	if wait := l.denials.Wait(who, now); wait > 0 {
		return tooMany("denials", wait)
	}
	return tooMany("requests", l.requests.Take(who, now))
}

// denied counts a denial.
func (l *Limits) denied(c secret.Caller, now time.Time) {
	if l != nil {
		l.denials.Take(credentialOf(c), now)
	}
}

func tooMany(limit string, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	return &TooManyError{Limit: limit, After: wait}
}

// network returns the addresses that are counted together: for IPv6 a /64, the
// smallest network that a customer gets.
func network(from string) netip.Prefix {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return netip.Prefix{} // the peer is on a Unix socket
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // cannot fail: an address has as many bits
	return p
}
