package auth

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/ratelimit"
	"github.com/strongroom/strongroom/internal/secret"
)

// TooManyError means that somebody asks for more than their limits let them.
type TooManyError struct {
	// After is how long until it is worth asking again.
	After time.Duration
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many requests: try again after %s", e.After)
}

// A Rate is so many a second in the long run, and a burst of more at once. The
// zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are how often is too often. They bind before anything but the headers
// of a request is read. They are safe for concurrent use.
type Limits struct {
	requests, denials *ratelimit.Buckets[credential]
	failures          *ratelimit.Buckets[netip.Prefix]
}

// A credential is whose requests are counted together.
type credential struct{ subject, key string }

func credentialOf(c secret.Caller) credential { return credential{c.Subject, c.Key} }

// NewLimits returns limits to the requests of one credential, to those of them
// that are denied, and to failures to authenticate from one address. Whoever
// is denied too often is refused everything until the rate allows for another
// denial, and an address from which there are too many failures likewise.
func NewLimits(requests, denials, failures Rate) *Limits {
	return &Limits{buckets[credential](requests), buckets[credential](denials), buckets[netip.Prefix](failures)}
}

func buckets[K comparable](r Rate) *ratelimit.Buckets[K] {
	if r.PerSecond == 0 {
		return nil
	}
	return ratelimit.New[K](r.PerSecond, r.Burst)
}

// attempt refuses an address from which too many have failed.
func (l *Limits) attempt(from string, now time.Time) error {
	if l == nil || l.failures.Empty() {
		return nil
	}
	return tooMany(l.failures.Wait(network(from), now))
}

// failed counts a failure to authenticate.
func (l *Limits) failed(from string, now time.Time) {
	if l != nil {
		l.failures.Take(network(from), now)
	}
}

// request counts a request, and refuses one too many.
func (l *Limits) request(c secret.Caller, now time.Time) error {
	if l == nil {
		return nil
	}
	who := credentialOf(c)
	if wait := l.denials.Wait(who, now); wait > 0 {
		return tooMany(wait)
	}
	return tooMany(l.requests.Take(who, now))
}

// denied counts a denial.
func (l *Limits) denied(c secret.Caller, now time.Time) {
	if l != nil {
		l.denials.Take(credentialOf(c), now)
	}
}

func tooMany(wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	return &TooManyError{After: wait}
}

// network is what counts as one address: of IPv6 a /64, for that is what one
// customer has at least.
func network(from string) netip.Prefix {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return netip.Prefix{} // a Unix socket's peers
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // an address has as many bits
	return p
}
