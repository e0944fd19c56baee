package config

import (
	"cmp"
	"strings"
)

// hides reports whether no credential would get past one strategy to the
// other, or only some that the other knows, too: exactly one may claim each.
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

// issuer is whose tokens the strategy takes, empty if it takes none.
func (s Strategy) issuer() string {
	switch {
	case s.OIDC != nil:
		return s.OIDC.Issuer
	case s.ServiceAccount != nil:
		return cmp.Or(s.ServiceAccount.Issuer, clusterIssuer)
	}
	return ""
}

// overlap reports whether something can begin with both.
func overlap(a, b string) bool {
	n := min(len(a), len(b))
	return strings.EqualFold(a[:n], b[:n])
}

// printable reports whether a header can have it in it.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
