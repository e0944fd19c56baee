package oidc_test

import (
	"testing"
)

// Some issuers do not mark access tokens as such.
func TestTokensWithoutATypeNeedTheTypeNone(t *testing.T) {
	i := newIssuer(t)
	h, c := header(), without(i.claims(), "typ")
	bare := without(h, "typ")
	id := without(c, "azp")
	for _, tc := range []struct {
		name           string
		header, claims object
		strict, none   bool // accepted
	}{
		{"Keycloak", h, i.claims(), true, true},
		{"RFC 9068", with(h, "typ", "at+jwt"), c, true, true},
		{"Entra ID, Auth0: no type but JWT", h, c, false, true},
		{"Okta, Amazon Cognito: no type at all", bare, c, false, true},
		{"Amazon Cognito's token_use", bare, with(c, "token_use", "access"), false, true},
		{"Bearer without a type in the header", bare, i.claims(), false, true},

		{"an ID token of Keycloak", h, with(c, "typ", "ID"), false, false},
		{"an ID token of Keycloak, no type in the header", bare, with(c, "typ", "ID"), false, false},
		{"a refresh token of Keycloak", h, with(c, "typ", "Refresh"), false, false},
		{"a logout token of Keycloak", with(h, "typ", "logout+jwt"), with(c, "typ", "Logout"), false, false},
		{"an ID token with a nonce", h, with(id, "nonce", "n"), false, false},
		{"an ID token with an empty nonce", h, with(id, "nonce", ""), false, false},
		{"an ID token with nonce null", h, with(id, "nonce", nil), false, false},
		{"an ID token with at_hash", bare, with(id, "at_hash", "h"), false, false},
		{"an ID token with c_hash", h, with(id, "c_hash", "h"), false, false},
		{"an ID token with s_hash", h, with(id, "s_hash", "h"), false, false},
		{"an ID token of Amazon Cognito", bare, with(id, "token_use", "id"), false, false},
		{"token_use in a list", bare, with(id, "token_use", []string{"access"}), false, false},
		{"an ID token for its client, by azp", h, with(c, "azp", "strongroom"), false, false},
		{"an ID token for its client, by client_id", h, with(id, "client_id", "strongroom"), false, false},
		{"a logout token", with(h, "typ", "logout+jwt"), c, false, false},
		{"a logout token by its events", h, with(id, "events", object{"http://schemas.openid.net/event/backchannel-logout": object{}}), false, false},
		{"a security event", with(h, "typ", "secevent+jwt"), c, false, false},
		{"a DPoP proof", with(h, "typ", "dpop+jwt"), c, false, false},
		{"a type that is called none", h, with(c, "typ", "none"), false, false},
		{"a type that is called none, in the header", with(h, "typ", "none"), c, false, false},
		{"a type that the config does not have", h, with(c, "typ", "access"), false, false},
	} {
		strict, none := i.rules(), i.rules()
		none.Types = append(none.Types, "none")
		text := token(t, tc.header, tc.claims)
		if _, err := i.newStrategy(t, strict).Authenticate(request(text)); (err == nil) != tc.strict {
			t.Errorf("%s, as by default: %v", tc.name, err)
		}
		if _, err := i.newStrategy(t, none).Authenticate(request(text)); (err == nil) != tc.none {
			t.Errorf("%s, with none: %v", tc.name, err)
		}
	}
}

func TestTokenTypesReplaceTheDefault(t *testing.T) {
	i := newIssuer(t)
	c := without(i.claims(), "typ")
	rules := i.rules()
	rules.Types = []string{"access", "AT+JWT"}
	s := i.newStrategy(t, rules)
	for _, tc := range []struct {
		name           string
		header, claims object
		ok             bool
	}{
		{"access", header(), with(c, "typ", "access"), true},
		{"access in other letters", header(), with(c, "typ", "Access"), false},
		{"a media type, which has no case", with(header(), "typ", "application/at+JWT"), c, true},
		{"both", with(header(), "typ", "at+jwt"), with(c, "typ", "access"), true},
		{"one of both", with(header(), "typ", "at+jwt"), i.claims(), false},
		{"Bearer", header(), i.claims(), false},
		{"none", header(), c, false},
	} {
		if _, err := s.Authenticate(request(token(t, tc.header, tc.claims))); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
