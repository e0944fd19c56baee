// Package anonymous lets in whoever can reach the server on this machine: for
// the stock OpenHands web page, which sends no key. It is there for those who
// name it in their config, and it never reveals a value.
package anonymous

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// hosts are the names by which a browser on this machine may know the server.
// Any other name may be an attacker's that has been made to point here (DNS
// rebinding).
var hosts = []string{"localhost", "127.0.0.1", "::1"}

// Strategy is an [auth.Strategy] for requests without a credential.
type Strategy struct{ caller secret.Caller }

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy whose callers may do everything but reveal with the
// custom secrets of the user.
func New(user string) *Strategy {
	return &Strategy{secret.Caller{Subject: "anonymous", User: user, Grants: []secret.Grant{{
		Actions: []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete},
		Owner:   secret.User(user),
		Source:  "anonymous in the config",
	}}}}
}

// Callers are all whom the strategy knows.
func (s *Strategy) Callers() []secret.Caller { return []secret.Caller{s.caller} }

// Authenticate implements [auth.Strategy]. A request from another machine or
// for another site's page is refused: [auth.ErrElsewhere].
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	if !fromHere(r) || !slices.Contains(hosts, hostname(r.Host)) || crossSite(r) {
		return secret.Caller{}, auth.ErrElsewhere
	}
	return s.caller, nil
}

// fromHere also refuses what a proxy on this machine passes on for others.
func fromHere(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	forwarded := slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"}, func(h string) bool {
		return len(r.Header.Values(h)) > 0
	})
	return err == nil && addr.Addr().Unmap().IsLoopback() && !forwarded
}

// crossSite reports whether a page of another site is behind the request: the
// browser says so in Sec-Fetch-Site (W3C Fetch Metadata), and older ones name
// the page's origin.
func crossSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" {
		return true
	}
	return slices.ContainsFunc(r.Header.Values("Origin"), func(origin string) bool {
		u, err := url.Parse(origin)
		return err != nil || !slices.Contains(hosts, u.Hostname())
	})
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.String()
	}
	return trimBrackets(host)
}

// trimBrackets is for an IPv6 address without a port, as in "[::1]".
func trimBrackets(host string) string {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}
