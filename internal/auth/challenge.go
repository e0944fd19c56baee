package auth

import (
	"errors"
	"net/http"
	"slices"
)

// A Scheme is a kind of credential as WWW-Authenticate names it (RFC 9110,
// section 11.1).
type Scheme string

// The schemes: an OAuth2 token (RFC 6750), and an API key in its own header. The
// latter has no standard name; FastAPI's is used.
const (
	SchemeBearer Scheme = "Bearer"
	SchemeAPIKey Scheme = "APIKey"
)

// Challenge returns the WWW-Authenticate header of a 401 or 403 for this error, with one
// challenge for each scheme. It returns nil for no header. A refused token adds the error
// code of RFC 6750, section 3.1.
func Challenge(schemes []Scheme, status int, err error) http.Header {
	bearer := slices.Contains(schemes, SchemeBearer)
	problem := ""
	switch {
	case status == http.StatusForbidden && !bearer:
		return nil // the client has no other key to try
	case status == http.StatusForbidden:
		problem = `, error="insufficient_scope"`
	case errors.Is(err, ErrBadToken):
		problem = `, error="invalid_token"`
	}
	var challenges []string
	for _, s := range schemes {
		if s == SchemeBearer {
			challenges = append(challenges, `Bearer realm="strongroom"`+problem)
		} else {
			challenges = append(challenges, string(s))
		}
	}
	if challenges == nil { // every 401 has to ask for something
		challenges = []string{string(SchemeAPIKey)}
	}
	return http.Header{"Www-Authenticate": challenges}
}
