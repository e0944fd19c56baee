// Package anonymous accepts requests from this machine without a credential, for
// the stock OpenHands web page, which sends no key. It is off unless the config
// names it, and it never reveals a value.
package anonymous

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// hosts are the accepted host names of the server. An attacker can make any other name
// resolve to this machine (DNS rebinding).
var hosts = []string{"localhost", "127.0.0.1", "::1"}

// Strategy is an [auth.Strategy] for requests without a credential.
type Strategy struct{ caller secret.Caller }

var _ auth.Strategy = (*Strategy)(nil)

// New returns a strategy. Its callers may do everything with the custom secrets of the
// user, except reveal them.
func New(user string) *Strategy {
	return &Strategy{secret.Caller{Subject: "anonymous", User: user, Grants: []secret.Grant{{
		Actions: []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete},
		Owner:   secret.User(user),
		Source:  "anonymous in the config",
	}}}}
}

// Callers returns the only caller.
func (s *Strategy) Callers() []secret.Caller { return []secret.Caller{s.caller} }

// Authenticate implements [auth.Strategy]. It refuses a request from another
// machine, through a proxy, for another site's page, or from a web form:
// [auth.ErrElsewhere]. A proxy that neither adds a header nor speaks HTTP/1.0
// cannot be told from a local client.
func (s *Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	if !fromHere(r) || proxied(r) || !slices.Contains(hosts, hostname(r.Host)) || crossSite(r) || isForm(r) {
		return secret.Caller{}, auth.ErrElsewhere
	}
	return s.caller, nil
}

func fromHere(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// proxied reports whether the request may come through a proxy on this machine. Plain
// proxy_pass of nginx adds no header and gives its own address as the host, but speaks
// HTTP/1.0, which browsers do not.
func proxied(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		switch {
		case name == "Via", name == "Forwarded", name == "X-Real-Ip", strings.HasPrefix(name, "X-Forwarded-"):
			return true
		}
	}
	return false
}

// isForm reports whether a web form could have sent the request: it has a body whose
// Content-Type is not JSON. Browsers send such requests to other sites without a
// preflight (Fetch, "CORS-safelisted request-header").
func isForm(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err != nil || kind != "application/json"
}

// crossSite reports whether a page of another site sent the request. Browsers say so in
// Sec-Fetch-Site (W3C Fetch Metadata); older ones only name the page's origin.
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
