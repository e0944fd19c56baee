package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority signs certificates of servers and clients, which are valid for an hour.
type Authority struct {
	File        string // its certificate, in PEM
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
}

// NewAuthority returns an authority that nothing trusts yet.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{dir: t.TempDir()}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key, a.File, _ = a.issue(t, "authority", template)
	return a
}

// Issue returns the files of a new certificate and its private key, in PEM. The name is its
// common name and its only host name.
func (a *Authority) Issue(t testing.TB, name string) (certificateFile, keyFile string) {
	t.Helper()
	_, _, certificateFile, keyFile = a.issue(t, name, &x509.Certificate{DNSNames: []string{name}})
	return certificateFile, keyFile
}

// issue signs a certificate, by itself if the authority has none yet.
func (a *Authority) issue(t testing.TB, name string, template *x509.Certificate) (c *x509.Certificate, key *ecdsa.PrivateKey, certificateFile, keyFile string) {
	t.Helper()
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	private, privateErr := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(keyErr, err, privateErr); err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	certificateFile, keyFile = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	err = errors.Join(err, writePEM(certificateFile, "CERTIFICATE", der), writePEM(keyFile, "PRIVATE KEY", private))
	if err != nil {
		t.Fatal(err)
	}
	return c, key, certificateFile, keyFile
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// certified is a group of roles that need a client certificate with their name, and no
// password.
const certified = "certified"

// accessOverTLS is the server's pg_hba.conf: only the superuser may connect without TLS.
const accessOverTLS = `
host    all  ` + superuser + `  127.0.0.1/32  scram-sha-256
hostssl all  +` + certified + ` 127.0.0.1/32  cert
hostssl all  all                127.0.0.1/32  scram-sha-256
`

// RequireTLS gives the server a certificate of the authority for the host localhost, and
// from now on refuses other connections of all roles but the superuser. Restart reads a
// new certificate.
func (s *Server) RequireTLS(t testing.TB, a *Authority) {
	t.Helper()
	certificate, key := a.Issue(t, "localhost")
	for name, from := range map[string]string{"tls.crt": certificate, "tls.key": key, "clients.crt": a.File} {
		text, err := os.ReadFile(from)
		to := filepath.Join(s.dir, name)
		if err := errors.Join(err, os.WriteFile(to, text, 0o600), own(to)); err != nil {
			t.Fatal(err)
		}
		setting := map[string]string{"tls.crt": "ssl_cert_file", "tls.key": "ssl_key_file", "clients.crt": "ssl_ca_file"}[name]
		s.Exec(t, fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", setting, to))
	}
	s.Exec(t, "ALTER SYSTEM SET ssl = on")
	s.Exec(t, "CREATE ROLE "+certified)
	access := filepath.Join(s.data(), "pg_hba.conf")
	if err := errors.Join(os.WriteFile(access, []byte(accessOverTLS), 0o600), own(access)); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
}

// RequireCertificate makes a role log in with a client certificate instead of its password.
func (s *Server) RequireCertificate(t testing.TB, role string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("GRANT %s TO %s", certified, role))
}

// WithTLS returns the URL with another host and other TLS parameters.
func WithTLS(databaseURL, host string, parameters url.Values) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		panic(err) // the URL is of this package
	}
	u.Host = host + ":" + u.Port()
	q := u.Query()
	for name, values := range parameters {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String()
}
