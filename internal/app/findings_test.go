package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/server"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// mustCertify returns a certificate that is valid around noon.
func mustCertify(t *testing.T, before, after time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon.Add(-before), NotAfter: noon.Add(after)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestEveryCertificateOfTheChainIsChecked(t *testing.T) {
	long := mustCertify(t, 30*day, 60*day)
	for _, tc := range []struct {
		what  string
		chain [][]byte
		says  string
		warns bool
	}{
		{"valid for long", [][]byte{long}, "it is valid until 2027-01-27T12:00:00Z", false},
		{"half of 90 days left", [][]byte{long, mustCertify(t, 45*day, 45*day)}, "it is valid until 2027-01-12T12:00:00Z", false},
		{"two weeks and a day left", [][]byte{mustCertify(t, 60*day, 15*day)}, "it is valid until", false},
		{"two weeks less a day left", [][]byte{mustCertify(t, 60*day, 13*day)}, "certificate 1 of listen.tls.certificate expires on 2026-12-11T12:00:00Z", true},
		{"two thirds of six days left", [][]byte{mustCertify(t, 2*day, 4*day)}, "it is valid until", false},
		{"a sixth of six days left", [][]byte{mustCertify(t, 5*day, day)}, "expires on", true},
		{"expired", [][]byte{mustCertify(t, 60*day, -time.Second)}, "certificate 1 of listen.tls.certificate expired on", true},
		{"an intermediate certificate expires", [][]byte{long, mustCertify(t, 60*day, day)}, "certificate 2 of listen.tls.certificate expires on", true},
		{"not valid yet", [][]byte{mustCertify(t, -time.Hour, 60*day)}, "is not valid before", true},
		{"the second one is not a certificate", [][]byte{long, []byte("x")}, "certificate 2 of listen.tls.certificate cannot be read", true},
	} {
		found := findings(&config.Config{}, &tls.Config{Certificates: []tls.Certificate{{Certificate: tc.chain}}}, noon)
		if len(found) != 1 || !strings.Contains(found[0].Text, tc.says) || found[0].Warns() != tc.warns {
			t.Errorf("%s: %+v", tc.what, found)
		}
	}
}

func TestEachUnencryptedAddressIsReported(t *testing.T) {
	for _, tc := range []struct {
		listen  string
		console *config.Console
		want    []string
	}{
		{"127.0.0.1:3000", nil, nil},
		{"127.0.0.1:3000", &config.Console{}, nil},
		{"127.0.0.1:3000", &config.Console{Address: "127.0.0.1:3443"}, nil},
		{"127.0.0.1:3000", &config.Console{Address: "10.0.0.5:3443"}, []string{"console.address"}},
		{"0.0.0.0:3000", &config.Console{}, []string{"listen.address"}},
		{"0.0.0.0:3000", &config.Console{Address: "10.0.0.5:3443"}, []string{"listen.address", "console.address"}},
	} {
		var about []string
		for _, f := range findings(&config.Config{Listen: config.Listen{Address: tc.listen}, Console: tc.console}, nil, noon) {
			if f.Warns() {
				about = append(about, f.About)
			}
		}
		if !slices.Equal(about, tc.want) {
			t.Errorf("listen.address %s, console %+v: warnings about %q, want %q", tc.listen, tc.console, about, tc.want)
		}
	}
}

type idle struct{ http.Handler }

func (idle) Close() error     { return nil }
func (idle) TLS() *tls.Config { return nil }

func TestWarningsAreRepeatedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		r := &reloader{
			running: &config.Config{Listen: config.Listen{Address: "0.0.0.0:3000"}}, current: server.NewCurrent(idle{}, log), log: log, resources: &resources{},
		}
		go r.run(t.Context(), nil)
		time.Sleep(2*day + time.Minute)
		synctest.Wait()
		if n := strings.Count(text.String(), "level=WARN"); n != 3 {
			t.Errorf("the warning appeared %d times in two days and a minute:\n%s", n, text.String())
		}
	})
}
