package oidc

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/auth"
)

// NoType in Rules.Types accepts tokens that do not state their type.
const NoType = "none"

// checkType refuses a token that is not of an accepted type. A token can say its type in
// the payload, as Keycloak's do, and in the header (RFC 9068, section 2.1); then both
// must be accepted. "JWT" in the header does not count, because ID tokens have it too.
func (rules *Rules) checkType(t token, c *claims) error {
	header := strings.TrimPrefix(strings.ToLower(t.header.Type), "application/")
	switch {
	case header != "" && header != "jwt" && !rules.accepts(header, strings.EqualFold):
		return auth.Refuse("the type in its header (typ) is neither JWT nor one of token_types: %s", rules.types())
	case c.Type != "" && !rules.accepts(c.Type, func(a, b string) bool { return a == b }):
		return auth.Refuse("the type in its payload (typ) is not one of token_types: %s", rules.types())
	case header != "" && (header != "jwt" || c.Type != ""):
		return nil
	case !slices.Contains(rules.Types, NoType):
		return auth.Refuse("it does not say its type (typ) in header and payload, and token_types lacks %s: %s", NoType, rules.types())
	case c.looksLikeAnother():
		return errLooksLike
	}
	return nil
}

func (rules *Rules) types() string { return strings.Join(rules.Types, ", ") }

func (rules *Rules) accepts(name string, same func(a, b string) bool) bool {
	return slices.ContainsFunc(rules.Types, func(t string) bool { return t != NoType && same(t, name) })
}

// looksLikeAnother reports whether the token has a claim that an access token
// does not have but an ID token (OpenID Connect Core 1.0, sections 2 and
// 3.3.2.11; token_use is Amazon Cognito's) or a logout token (Back-Channel Logout
// 1.0, section 2.4) does. An ID token is also for the client that obtained it.
func (c *claims) looksLikeAnother() bool {
	for _, claim := range []jsontext.Value{c.Nonce, c.TokenHash, c.CodeHash, c.StateHash, c.Events} {
		if claim != nil {
			return true
		}
	}
	if c.Use != nil && string(c.Use) != `"access"` {
		return true
	}
	client := c.client()
	return client != "" && slices.Contains(c.Audience, client)
}
