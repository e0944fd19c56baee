package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An identity is a self-signed certificate for 127.0.0.1 and its private key,
// in PEM.
type identity struct{ certificate, key string }

func newIdentity(t *testing.T) identity {
	t.Helper()
	return newIdentityUntil(t, time.Now().Add(time.Hour))
}

func newIdentityUntil(t *testing.T, end time.Time) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{encodePEM("CERTIFICATE", certificate), encodePEM("PRIVATE KEY", private)}
}

func encodePEM(kind string, bytes []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
}

func (id identity) mustWrite(t *testing.T, i install) {
	t.Helper()
	mustWrite(t, i.path("tls.key"), id.key)
	mustWrite(t, i.path("tls.crt"), id.certificate)
}

// client returns a client that trusts only the identity and supports no newer
// TLS version.
func (id identity) client(t *testing.T, maxVersion uint16) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(id.certificate))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: maxVersion}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// mustServeTLS starts a server with the identity.
func mustServeTLS(t *testing.T, i install, id identity) *process {
	t.Helper()
	id.mustWrite(t, i)
	i.mustEdit(t, "strongroom.yaml", "drain: 10s", "tls: {certificate: tls.crt, key: tls.key}")
	return mustServe(t, i)
}

func ready(client *http.Client, p *process) (*http.Response, error) {
	resp, err := client.Get("https://" + p.address + "/readyz")
	if err == nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

func TestTLSDefaultsToVersion13WithHTTP2(t *testing.T) {
	t.Parallel()
	i, id := mustInit(t), newIdentity(t)
	p := mustServeTLS(t, i, id)
	resp, err := ready(id.client(t, 0), p)
	if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 {
		t.Fatalf("got %v, %v", resp, err)
	}
	if _, err := ready(id.client(t, tls.VersionTLS12), p); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	if a := p.mustDo(t, "GET", "/readyz", "", ""); a.status != 400 {
		t.Errorf("plain HTTP: %d %s", a.status, a.body)
	}
	i.mustEdit(t, "strongroom.yaml", "key: tls.key", `key: tls.key, min_version: "1.2"`)
	p.mustSay(t, reloaded)
	resp, err = ready(id.client(t, tls.VersionTLS12), p)
	if err != nil || resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS12 || !strings.Contains(tls.CipherSuiteName(resp.TLS.CipherSuite), "_GCM_") {
		t.Errorf("with min_version 1.2, TLS 1.2: %v, %v", resp, err)
	}
	if resp, err := ready(id.client(t, 0), p); err != nil || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("with min_version 1.2, TLS 1.3: %v, %v", resp, err)
	}
}

func TestCertificateIsReplacedOnlyTogetherWithItsKey(t *testing.T) {
	t.Parallel()
	i, first, second := mustInit(t), newIdentity(t), newIdentity(t)
	p := mustServeTLS(t, i, first)
	connected := first.client(t, 0)
	if _, err := ready(connected, p); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, i.path("tls.crt"), second.certificate)
	p.mustSay(t, regexp.MustCompile(broken.String()+"listen.tls: tls: private key does not match public key"))
	if _, err := ready(first.client(t, 0), p); err != nil {
		t.Errorf("with only one new file, the first certificate is no longer served: %v", err)
	}
	mustWrite(t, i.path("tls.key"), second.key)
	p.mustSay(t, reloaded)
	if _, err := ready(second.client(t, 0), p); err != nil {
		t.Errorf("the second certificate is not served: %v", err)
	}
	if _, err := ready(first.client(t, 0), p); err == nil {
		t.Error("the first certificate is still served")
	}
	if _, err := ready(connected, p); err != nil {
		t.Errorf("an open connection was closed: %v", err)
	}
}

func TestTLSIsNotTurnedOffWithoutARestart(t *testing.T) {
	t.Parallel()
	i, id := mustInit(t), newIdentity(t)
	p := mustServeTLS(t, i, id)
	i.mustEdit(t, "strongroom.yaml", "tls: {certificate: tls.crt, key: tls.key}", "drain: 10s")
	p.mustSay(t, regexp.MustCompile(`need a restart" fields=listen.tls`))
	if _, err := ready(id.client(t, 0), p); err != nil {
		t.Error(err)
	}
}

func TestExpiringCertificateIsReported(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServeTLS(t, i, newIdentityUntil(t, time.Now().Add(10*time.Minute)))
	p.mustSay(t, regexp.MustCompile(`level=WARN msg="certificate 1 of listen.tls.certificate expires on .*" about=certificate`))
	const soon = "certificate: certificate 1 of listen.tls.certificate expires on "
	if says := i.mustAdminister(t, "status"); !strings.Contains(says, "warning: "+soon) {
		t.Errorf("status prints\n%s", says)
	}
	if says := i.mustAdminister(t, "doctor"); !strings.Contains(says, "WARN   "+soon) {
		t.Errorf("doctor prints\n%s", says)
	}
	newIdentityUntil(t, time.Now().Add(-time.Minute)).mustWrite(t, i)
	p.mustSay(t, regexp.MustCompile(`level=WARN msg="certificate 1 of listen.tls.certificate expired on .*" about=certificate`))
	if r := i.administer(t, "doctor"); r.code != 1 || !strings.Contains(r.stdout, "WRONG  certificate: ") {
		t.Errorf("doctor prints, with exit code %d\n%s", r.code, r.stdout)
	}
	p.mustStop(t)
	if r := i.administer(t, "doctor"); r.code != 1 || !strings.Contains(r.stdout, "WRONG  certificate: ") {
		t.Errorf("without a server, doctor prints, with exit code %d\n%s", r.code, r.stdout)
	}
	newIdentityUntil(t, time.Now().Add(time.Hour)).mustWrite(t, i)
	if r := mustRun(t, "config", "check", "--config", i.config()); r.stderr != "" {
		t.Errorf("a valid certificate gets the warning %s", r.stderr)
	}
}

func TestPlainHTTPOnANetworkGetsAWarning(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "127.0.0.1:3000", "0.0.0.0:0")
	const what = "listen.address: secrets and credentials cross the network unencrypted"
	if r := mustRun(t, "config", "check", "--config", i.config()); r.stdout != "the config is valid\n" || !strings.HasPrefix(r.stderr, "warning: "+what) {
		t.Errorf("config check prints\n%s%s", r.stdout, r.stderr)
	}
	p := mustStart(t, program, "serve", "--config", i.config())
	p.mustSay(t, regexp.MustCompile(`level=WARN msg="secrets and credentials cross the network unencrypted: .*" about=listen.address`))
	if says := i.mustAdminister(t, "doctor"); !strings.Contains(says, "WARN   "+what) {
		t.Errorf("doctor prints\n%s", says)
	}
}
