// Package objectname computes the Kubernetes object name of a secret, which Nx1's API
// returns as k8s_name.
package objectname

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

const (
	slugBytes = 40
	hashChars = 26 // 130 bits in base32
)

// Of returns the object name of a secret: a DNS subdomain (RFC 1123). It is the same on
// every store, and any two secrets have different names.
//
//	nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-password-6bxy6iv2f2cpipy27q6f5ouyvn
func Of(r secret.Ref) string {
	hash := sha256.Sum256([]byte(r.Owner.ID + "\x00" + r.Name))
	digits := strings.ToLower(base32.StdEncoding.EncodeToString(hash[:]))[:hashChars]
	parts := []string{"nx1", r.Owner.ID, slug(r.Name), digits}
	if r.Owner.Kind == secret.KindUser {
		parts[0], parts[1] = "openhands", slug(r.Owner.ID)
	}
	return strings.Join(parts, "-")
}

// slug keeps letters and digits and replaces everything else with single hyphens. It
// makes the name readable; the hash makes it unique.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			c = '-'
		}
		if c == '-' && strings.HasSuffix(b.String(), "-") {
			continue
		}
		b.WriteRune(c)
	}
	s := strings.TrimLeft(b.String(), "-")
	s = strings.TrimRight(s[:min(len(s), slugBytes)], "-")
	if s == "" {
		return "x"
	}
	return s
}
