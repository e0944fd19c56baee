package auth

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of reverse proxies with a trusted X-Forwarded-For.
type Proxies []netip.Prefix

// Client returns the client's address: the peer's, or if the peer is a trusted proxy, the
// last address in X-Forwarded-For that is not a trusted proxy. The client may have
// invented the addresses before it.
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
			return from // not an address, so the proxy did not write it
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

// parseHop also accepts an address with a port, and an IPv6 address in brackets
// without a port, as some proxies write them.
func parseHop(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(unbracketed(hop)); err == nil {
		return addr.Unmap(), true
	}
	withPort, err := netip.ParseAddrPort(hop)
	return withPort.Addr().Unmap(), err == nil
}

// unbracketed returns the IPv6 address in "[2001:db8::1]", and any other text
// unchanged.
func unbracketed(hop string) string {
	inner, opened := strings.CutPrefix(hop, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed || !strings.Contains(inner, ":") {
		return hop
	}
	return inner
}

// peer returns the address of the other end of the connection, without the port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
