package config

import (
	"cmp"
	"strings"
)

// hides reports whether both strategies accept some of the same credentials. If s is
// listed before other, it would claim them. Only one strategy may claim a credential.
func (s Strategy) hides(other Strategy) bool {
	switch {
	case s.APIKey != nil && other.APIKey != nil:
		return strings.EqualFold(s.APIKey.Header, other.APIKey.Header) && overlap(s.APIKey.Prefix, other.APIKey.Prefix)
	case s.APIKey != nil && other.issuer() != "":
		return s.APIKey.Prefix == "" && strings.EqualFold(s.APIKey.Header, "Authorization")
	case other.APIKey != nil && s.issuer() != "":
		return other.hides(s)
	}
	return s.issuer() != "" && s.issuer() == other.issuer()
}

// issuer returns the issuer of the tokens that the strategy accepts, or "" if
// it accepts none.
func (s Strategy) issuer() string {
	switch {
	case s.OIDC != nil:
		return s.OIDC.Issuer
	case s.ServiceAccount != nil:
		return cmp.Or(s.ServiceAccount.Issuer, clusterIssuer)
	}
	return ""
}

// overlap reports whether one text can begin with both prefixes.
func overlap(a, b string) bool {
	n := min(len(a), len(b))
	return strings.EqualFold(a[:n], b[:n])
}

// printable reports whether s can be part of a header.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
