package server

import "crypto/tls"

// TLS returns a server config with the certificate and HTTP/2 and HTTP/1.1.
// Clients must support at least minVersion. The cipher suites for TLS 1.2 all
// have forward secrecy and authenticated encryption (RFC 9325, section 4.2).
func TLS(certificate tls.Certificate, minVersion uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   minVersion,
		NextProtos:   []string{"h2", "http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
		},
	}
}

// perHandshake returns a config that calls config for each handshake.
func perHandshake(config func() *tls.Config) *tls.Config {
	c := config().Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return config(), nil }
	return c
}
