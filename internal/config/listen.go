package config

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/strongroom/strongroom/internal/duration"
)

// Listen is the address and the transport of the APIs.
type Listen struct {
	// Address is host:port; port 0 takes a free one. Any but loopback without
	// TLS gets a warning. Default 127.0.0.1:3000.
	Address string `yaml:"address"`
	// Drain is the time that requests in progress may still take after SIGTERM; with 0s
	// they are cut off. Default 10s.
	Drain duration.Duration `yaml:"drain"`
	// TLS serves HTTPS, and HTTP/2 with it, instead of plain HTTP, which is for
	// loopback and for a proxy in front.
	TLS *TLS `yaml:"tls"`
	// Connections limits the open connections. When full, the connections that
	// have been stalled longest are closed for new ones, and idle ones if few are
	// stalled. Default 2048.
	Connections int `yaml:"connections"`
	// Proxies are the addresses and networks (10.0.0.0/8) of trusted proxies in front.
	// For the audit log and limits, a request through them comes from the last address in
	// X-Forwarded-For that is not a proxy.
	Proxies []string `yaml:"proxies"`
}

// Unencrypted reports whether the server serves plain HTTP on a network, which is right
// only behind a proxy that terminates TLS.
func (l Listen) Unencrypted() bool {
	return l.TLS == nil && !loopback(l.Address)
}

// Metrics serves /metrics on a listener of its own, in plain HTTP and without a
// credential. No series has a name, an owner, an address or a value.
type Metrics struct {
	// Address is host:port; port 0 takes a free one. With any but loopback, make sure
	// that only Prometheus can reach the port.
	Address string `yaml:"address"`
}

// TLS is the server's certificate.
type TLS struct {
	// Certificate is a PEM file: the server's certificate, then the intermediate ones.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file with the certificate's private key. Only its owner and group may
	// read it.
	Key string `yaml:"key"`
	// MinVersion of TLS that clients must speak: "1.3" or "1.2". Default 1.3.
	MinVersion string `yaml:"min_version"`
}

// Networks returns the networks of the proxies.
func (l Listen) Networks() (networks []netip.Prefix) {
	for _, p := range l.Proxies {
		network, _ := parseNetwork(p) // Load has reported an error
		networks = append(networks, network)
	}
	return networks
}

func (l Listen) validate(m *problems) {
	m.bad(l.Address != "" && !hostPort(l.Address), "listen.address: must be host:port")
	m.bad(l.Drain < 0, "listen.drain: must not be negative")
	if t := l.TLS; t != nil {
		m.bad(t.Certificate == "", "listen.tls.certificate: must be set")
		m.bad(t.Key == "", "listen.tls.key: must be set")
		m.bad(!oneOf(t.MinVersion, "1.2", "1.3"), "listen.tls.min_version: must be 1.2 or 1.3, in quotes")
	}
	for i, p := range l.Proxies {
		_, err := parseNetwork(p)
		m.bad(err != nil, "listen.proxies[%d]: must be an address, or a network such as 10.0.0.0/8", i)
	}
	m.bad(l.Connections < 1, "listen.connections: must be at least 1")
}

// parseNetwork also accepts a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}

func hostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil
}

// loopback reports whether only processes on this machine can connect to the
// address.
func loopback(address string) bool {
	if address == "" {
		return true // the default
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // already reported
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
