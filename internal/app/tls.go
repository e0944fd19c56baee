package app

import (
	"crypto/tls"
	"fmt"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/server"
)

// openTLS reads the certificate and its key. It returns nil without TLS.
func openTLS(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	chain, err := safefile.Read(t.Certificate)
	if err != nil {
		return nil, fmt.Errorf("listen.tls.certificate: %w", err)
	}
	key, err := safefile.ReadPrivate(t.Key)
	if err != nil {
		return nil, fmt.Errorf("listen.tls.key: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("listen.tls: %w", err)
	}
	if t.MinVersion == "1.2" {
		return server.TLS(certificate, tls.VersionTLS12), nil
	}
	return server.TLS(certificate, tls.VersionTLS13), nil
}
