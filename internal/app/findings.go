package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/config"
)

// warnEvery is how often a server repeats its warnings while it runs.
const warnEvery = 24 * time.Hour

// expiresSoon is how long before its end a certificate gets a warning; one that
// is valid for less than 42 days, in the last third of its time. Renewal that
// works has replaced it by then.
const expiresSoon = 14 * 24 * time.Hour

// findings are about how a config has the APIs served: by which certificate, or
// without one.
func findings(l config.Listen, t *tls.Config, now time.Time) []admin.Finding {
	switch {
	case t != nil:
		return examineChain(t.Certificates[0].Certificate, now)
	case l.Unencrypted():
		return []admin.Finding{{
			About: "listen.address", OK: true, Warning: true,
			Text: "secrets and credentials cross the network unencrypted: set listen.tls, or have a proxy end TLS and let nothing else reach the address",
		}}
	}
	return nil
}

// findingsOf are about a config that is not in force.
func findingsOf(cfg *config.Config) []admin.Finding {
	t, err := openTLS(cfg.Listen.TLS)
	if err != nil {
		return []admin.Finding{{About: "certificate", Text: err.Error()}}
	}
	return findings(cfg.Listen, t, time.Now())
}

// examineChain has a finding for each certificate with a problem, or one that
// says until when all are valid.
func examineChain(chain [][]byte, now time.Time) (found []admin.Finding) {
	var until time.Time
	for n, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			found = append(found, admin.Finding{About: "certificate", Text: place(n) + " cannot be read: " + err.Error()})
			continue
		}
		if until.IsZero() || c.NotAfter.Before(until) {
			until = c.NotAfter
		}
		if f := examineCertificate(c, now); f.Text != "" {
			f.About, f.Text = "certificate", place(n)+" "+f.Text
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		found = []admin.Finding{{About: "certificate", OK: true, Text: "it is valid until " + until.UTC().Format(time.RFC3339)}}
	}
	return found
}

// place says which certificate of the file listen.tls.certificate it is.
func place(n int) string { return fmt.Sprintf("certificate %d of listen.tls.certificate", n+1) }

// examineCertificate returns no text if nothing is wrong.
func examineCertificate(c *x509.Certificate, now time.Time) admin.Finding {
	soon := min(expiresSoon, c.NotAfter.Sub(c.NotBefore)/3)
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return admin.Finding{Text: fmt.Sprintf("is not valid before %s: clients refuse it", c.NotBefore.UTC().Format(time.RFC3339))}
	case left < 0:
		return admin.Finding{Text: fmt.Sprintf("expired on %s: clients refuse it; replace it and its key, which takes no restart", c.NotAfter.UTC().Format(time.RFC3339))}
	case left < soon:
		return admin.Finding{OK: true, Warning: true, Text: fmt.Sprintf("expires on %s: replace it and its key, which takes no restart", c.NotAfter.UTC().Format(time.RFC3339))}
	}
	return admin.Finding{}
}

// warn logs the findings that need a look.
func warn(log *slog.Logger, found []admin.Finding) {
	for _, f := range found {
		if f.Warns() {
			log.Warn(f.Text, "about", f.About)
		}
	}
}
