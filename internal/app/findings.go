package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/config"
)

// warnEvery is the interval at which a server repeats its warnings.
const warnEvery = 24 * time.Hour

// expiresSoon is the remaining lifetime below which a certificate gets a warning. A
// certificate valid for less than 42 days gets it in the last third of its lifetime.
// Working renewal has replaced it by then.
const expiresSoon = 14 * 24 * time.Hour

// findings returns findings about the transport of the APIs and the console: the
// certificate, or its absence.
func findings(cfg *config.Config, t *tls.Config, now time.Time) (found []admin.Finding) {
	if t != nil {
		return examineChain(t.Certificates[0].Certificate, now)
	}
	if cfg.Listen.Unencrypted() {
		found = append(found, unencrypted("listen.address"))
	}
	if c := cfg.Console; c != nil && (config.Listen{Address: c.Address, TLS: cfg.Listen.TLS}).Unencrypted() {
		found = append(found, unencrypted("console.address"))
	}
	return found
}

// unencrypted is the warning about the address in this field of the config.
func unencrypted(field string) admin.Finding {
	return admin.Finding{
		About: field, OK: true, Warning: true,
		Text: "secrets and credentials cross the network unencrypted: set listen.tls, or terminate TLS in a proxy and let nothing else reach the address",
	}
}

// findingsOf returns the findings of a config that is not in use.
func findingsOf(cfg *config.Config) []admin.Finding {
	anonymous := anonymousFindings(cfg.Auth)
	t, err := openTLS(cfg.Listen.TLS)
	if err != nil {
		return append(anonymous, admin.Finding{About: "certificate", Text: err.Error()})
	}
	return append(anonymous, findings(cfg, t, time.Now())...)
}

// anonymousFindings warns of each strategy that accepts requests without a credential.
func anonymousFindings(strategies map[string]config.Strategy) (found []admin.Finding) {
	for _, name := range slices.Sorted(maps.Keys(strategies)) {
		if a := strategies[name].Anonymous; a != nil {
			found = append(found, admin.Finding{
				About: "auth." + name + ".anonymous", OK: true, Warning: true,
				Text: fmt.Sprintf("every process on this machine can list, create, change and delete "+
					"the custom secrets of user %s without a credential, though not reveal them; so can every client of a reverse proxy "+
					"on this machine that adds no header, because the server cannot tell it from a local client", a.User),
			})
		}
	}
	return found
}

// examineChain returns a finding for each certificate with a problem. If there is none,
// it returns one finding with the time until which the whole chain is valid.
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

// place names the nth certificate of the file listen.tls.certificate.
func place(n int) string { return fmt.Sprintf("certificate %d of listen.tls.certificate", n+1) }

// examineCertificate returns a finding without text for a good certificate.
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

// warn logs the warnings and errors among the findings.
func warn(log *slog.Logger, found []admin.Finding) {
	for _, f := range found {
		if f.Warns() {
			log.Warn(f.Text, "about", f.About)
		}
	}
}
