package auth

import (
	"net/http"
	"strings"
)

// A Place is where a strategy looks for a credential: in a header, behind the
// prefix if there is one. The prefix may be a scheme, which is the same in any
// case (RFC 9110, section 11.1).
type Place struct{ Header, Prefix string }

// BearerPlace is where tokens are (RFC 6750, section 2.1).
var BearerPlace = Place{"Authorization", "Bearer "}

// Scheme is what a 401 calls the place when it asks for a credential.
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

// sent is what a request has in the headers that can hold a credential.
type sent struct {
	repeated bool // a header is there more than once
	any      bool // a header is there, with whatever
	ours     int  // credentials that a strategy looks for
	foreign  int  // those of the API's document that no strategy here looks for
}

// sentIn looks at the headers. Clients and proxies add Authorization headers that
// were never meant for us: of Basic, which browsers repeat, of a default entry in
// ~/.netrc, empty ones. What is in no place of a strategy's does not count beside
// a credential that is.
func (chain Chain) sentIn(r *http.Request, headers []string) (s sent) {
	for _, header := range headers {
		values := r.Header.Values(header)
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
