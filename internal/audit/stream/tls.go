package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/safefile"
)

// TLS names the files for connections to a collector. Errors begin with the field of the
// config.
type TLS struct {
	// CAFile has the certificates in PEM that verify the collector; empty: the system's.
	CAFile string
	// Certificate and Key are the files of our own certificate; empty: none is shown. They
	// are read for each connection, so that they can be renewed.
	Certificate, Key string
}

// config reads the files, so that a mistake shows at the start.
func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		text, err := safefile.Read(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file: has no certificate in PEM")
		}
	}
	if t.Certificate == "" {
		return c, nil
	}
	if _, err := t.pair(); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := t.pair()
		return &pair, err
	}
	return c, nil
}

func (t TLS) pair() (tls.Certificate, error) {
	chain, err := safefile.Read(t.Certificate)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, err := safefile.ReadPrivate(t.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	return pair, nil
}
