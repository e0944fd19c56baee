package auth

import (
	"errors"
	"net/http"
	"slices"
)

// A Scheme is a kind of credential as WWW-Authenticate names it (RFC 9110,
// section 11.1).
type Scheme string

// The schemes: an OAuth2 token (RFC 6750), and a key in a header of its own,
// for which there is no standard name and FastAPI's is used.
const (
	SchemeBearer Scheme = "Bearer"
	SchemeAPIKey Scheme = "APIKey"
)

// Challenge returns the header with which an answer of status 401 or 403 to
// this error asks for a credential of one of the schemes; nil if it does not
// ask. What is wrong with a token is said in the words of RFC 6750, section
// 3.1: nothing where there was none.
func Challenge(schemes []Scheme, status int, err error) http.Header {
	bearer := slices.Contains(schemes, SchemeBearer)
	problem := ""
	switch {
	case status == http.StatusForbidden && !bearer:
		return nil // another key would have to come from somebody else
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
