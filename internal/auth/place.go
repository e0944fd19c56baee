package auth

import (
	"net/http"
	"strings"
)

// A Place is a header in which a strategy looks for a credential, after the prefix
// if there is one. The prefix may be a scheme, so its case does not matter (RFC
// 9110, section 11.1).
type Place struct{ Header, Prefix string }

// BearerPlace is the place of tokens (RFC 6750, section 2.1).
var BearerPlace = Place{"Authorization", "Bearer "}

// Scheme returns the scheme by which a 401 asks for a credential in this place.
func (p Place) Scheme() Scheme {
	if strings.EqualFold(p.Header, BearerPlace.Header) && strings.EqualFold(p.Prefix, BearerPlace.Prefix) {
		return SchemeBearer
	}
	return SchemeAPIKey
}

// holds reports whether the header's value has a credential in this place.
func (p Place) holds(header, value string) bool {
	n := len(p.Prefix)
	return strings.EqualFold(p.Header, header) && len(value) > n && strings.EqualFold(value[:n], p.Prefix) &&
		strings.TrimSpace(value[n:]) != ""
}

// sent describes the headers of a request that can hold a credential.
type sent struct {
	repeated bool // a header occurs more than once
	any      bool // a header is present, even if it is empty
	ours     int  // credentials that a strategy looks for
	foreign  int  // credentials in the API's document that no strategy here looks for
}

// sentIn examines the headers. Clients and proxies add Authorization headers that
// are not meant for this server: Basic, which browsers repeat, the default entry of
// ~/.netrc, empty ones. Beside a credential in a strategy's place they are ignored.
func (chain Chain) sentIn(r *http.Request, headers []string) (s sent) {
	for _, header := range headers {
		values := r.Header[header]
		s.repeated, s.any = s.repeated || len(values) > 1, s.any || len(values) > 0
		for _, value := range values {
			switch {
			case chain.looksFor(header, value):
				s.ours++
			case Place{Header: header}.holds(header, value) && !otherScheme(header, value):
				s.foreign++
			}
		}
	}
	return s
}

func (chain Chain) looksFor(header, value string) bool {
	for _, p := range chain.Places {
		if p.holds(header, value) {
			return true
		}
	}
	return false
}

// otherScheme reports whether it is an Authorization header without a token.
func otherScheme(header, value string) bool {
	return strings.EqualFold(header, BearerPlace.Header) && !BearerPlace.holds(header, value)
}
