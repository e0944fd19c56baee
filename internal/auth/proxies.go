package auth

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of those whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Client returns the address that a request comes from: that of the peer, or
// if it is a proxy of ours the last address in X-Forwarded-For that is none.
// What stands before it, the client may have made up.
func (p Proxies) Client(r *http.Request) string {
	from := peer(r)
	if len(p) == 0 {
		return from
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(forwarded) {
		if !p.include(from) {
			return from
		}
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return from // what the proxy has taken over from nobody knows whom
		}
		from = addr.String()
	}
	return from
}

func (p Proxies) include(address string) bool {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// parseHop also takes what some proxies write: an address with a port, and one of
// IPv6 in brackets without a port.
func parseHop(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(unbracketed(hop)); err == nil {
		return addr.Unmap(), true
	}
	withPort, err := netip.ParseAddrPort(hop)
	return withPort.Addr().Unmap(), err == nil
}

// unbracketed is the address of IPv6 in "[2001:db8::1]"; anything else stays as
// it is.
func unbracketed(hop string) string {
	inner, opened := strings.CutPrefix(hop, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed || !strings.Contains(inner, ":") {
		return hop
	}
	return inner
}

// peer is the address at the other end of the connection, without the port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
