package config

import "strings"

// hides reports whether no credential would get past one strategy to the
// other, or only some that the other knows, too: exactly one may claim each.
func (s Strategy) hides(other Strategy) bool {
	switch {
	case s.APIKey != nil && other.APIKey != nil:
		return strings.EqualFold(s.APIKey.Header, other.APIKey.Header) && overlap(s.APIKey.Prefix, other.APIKey.Prefix)
	case s.APIKey != nil && other.OIDC != nil:
		return s.APIKey.Prefix == "" && strings.EqualFold(s.APIKey.Header, "Authorization")
	case s.OIDC != nil && other.OIDC != nil:
		return s.OIDC.Issuer == other.OIDC.Issuer
	case other.APIKey != nil && s.APIKey == nil:
		return other.hides(s)
	}
	return false
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
