package console

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/server"
)

// policy is the Content-Security-Policy of every answer: nothing but our own style sheet,
// script and icon, no inline script or style, and no HTML made by the script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// secure sets the headers of every answer.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Permissions-Policy", "clipboard-write=(self), camera=(), geolocation=(), microphone=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // for browsers that ignore frame-ancestors
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, id: server.Identify(w.Header())}
	secure(w.Header())
	switch {
	case !c.checkHost(r.Host):
		http.Error(w, "This server is not known by that name: add it to console.hosts in the config.", http.StatusMisdirectedRequest)
	case c.cross.Check(r) != nil:
		http.Error(w, "The request came from a page of another site.", http.StatusForbidden)
	default:
		c.dispatch(v)
	}
}

// checkHost reports whether the Host header names this server. A page of another site
// can make its own name resolve to this server's address (DNS rebinding), and would then
// be of the same origin. It cannot do that to an address or to localhost.
func (c *Console) checkHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
			return false
		}
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	return c.Named(host)
}
