package oidc

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

// maxID is the maximum size of a token's subject and user in bytes (OpenID Connect
// Core 1.0, section 2).
const maxID = 255

// claims are the parsed members of a token's payload.
type claims struct {
	Issuer       string         `json:"iss"`
	Subject      string         `json:"sub"`
	Audience     audience       `json:"aud"`
	Expires      *moment        `json:"exp"`
	NotBefore    *moment        `json:"nbf"`
	IssuedAt     *moment        `json:"iat"`
	Type         string         `json:"typ"`
	Party        string         `json:"azp"`
	Client       string         `json:"client_id"`
	Confirmation jsontext.Value `json:"cnf"`

	// An access token has none of these; see looksLikeAnother.
	Nonce     jsontext.Value `json:"nonce"`
	TokenHash jsontext.Value `json:"at_hash"`
	CodeHash  jsontext.Value `json:"c_hash"`
	StateHash jsontext.Value `json:"s_hash"`
	Events    jsontext.Value `json:"events"`
	Use       jsontext.Value `json:"token_use"`

	all jsontext.Value // of them
}

// claims parses the payload. It refuses a duplicate name at any depth, and a member
// of the wrong type.
func (t token) claims() (*claims, error) {
	payload, err := auth.Base64.DecodeString(t.payload)
	if err != nil || !auth.Shallow(payload) {
		return nil, errPayload
	}
	c := &claims{all: payload}
	if json.Unmarshal(payload, c) != nil {
		return nil, errPayload
	}
	return c, nil
}

// admit refuses a token of another issuer, and one that does not satisfy the rules at
// this time.
func (rules *Rules) admit(t token, c *claims, now time.Time) error {
	if c.Issuer != rules.Issuer {
		return auth.Refuse("it names another issuer (iss) than %s", rules.Issuer)
	}
	if err := cmp.Or(rules.checkType(t, c), c.checkTimes(now), rules.checkAudience(c)); err != nil {
		return err
	}
	switch {
	case c.Confirmation != nil: // only the holder of a key may use it (RFC 7800), which is not checked here
		return errBound
	case !presentable(c.Subject):
		return errSubject
	}
	return nil
}

// checkAudience refuses a token that was not issued for the audience, or not to one of
// the clients. At least one of the two is always configured.
func (rules *Rules) checkAudience(c *claims) error {
	audience := rules.Audience != "" || len(rules.Clients) == 0
	switch {
	case audience && (rules.Audience == "" || !slices.Contains(c.Audience, rules.Audience)):
		return auth.Refuse("its audience (aud) does not include %s", rules.Audience)
	case len(rules.Clients) > 0 && !slices.Contains(rules.Clients, c.client()):
		return auth.Refuse("the client that obtained it (azp, client_id) is not one of clients: %s", strings.Join(rules.Clients, ", "))
	}
	return nil
}

// client returns the client that obtained the token: azp in Keycloak's tokens, client_id
// in those of RFC 9068.
func (c *claims) client() string { return cmp.Or(c.Party, c.Client) }

// checkTimes refuses a token that is not valid yet or has expired.
func (c *claims) checkTimes(now time.Time) error {
	begun := func(m *moment) bool { return m == nil || !m.After(now.Add(leeway)) }
	switch {
	case c.Expires == nil:
		return errNoExpiry
	case !c.Expires.After(now.Add(-leeway)):
		return auth.Refuse("it expired %s ago (exp), more than the tolerated clock difference of %s", now.Sub(c.Expires.Time).Round(time.Second), leeway)
	case !begun(c.NotBefore):
		return auth.Refuse("it is not valid before %s from now (nbf)", c.NotBefore.Sub(now).Round(time.Second))
	case !begun(c.IssuedAt):
		return auth.Refuse("it was issued %s in the future (iat): compare this machine's clock with the issuer's", c.IssuedAt.Sub(now).Round(time.Second))
	}
	return nil
}

// caller returns the caller of the token. Its key is the client that obtained the token.
// If it were the token, each new token would reset the rate limits.
func (rules *Rules) caller(c *claims) secret.Caller {
	caller := secret.Caller{Subject: c.Subject, CredentialID: c.client(), User: c.text(rules.UserClaim)}
	if !presentable(caller.CredentialID) {
		caller.CredentialID = ""
	}
	if !presentable(caller.User) {
		caller.User = ""
	}
	for _, role := range c.list(rules.RolesClaim) {
		caller.Grants = append(caller.Grants, grant.For(caller.User, rules.Roles[role])...)
	}
	return caller
}

// presentable reports whether the id can be used and put into the audit log.
func presentable(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// text returns the claim of that name, empty if it is not a string.
func (c *claims) text(name string) (text string) {
	if json.Unmarshal(c.at([]string{name}), &text) != nil {
		return ""
	}
	return text
}

// list returns the strings of the list at that path.
func (c *claims) list(path []string) (list []string) {
	var values []jsontext.Value
	if json.Unmarshal(c.at(path), &values) != nil {
		return nil
	}
	for _, v := range values {
		var text string
		if v.Kind() == '"' && json.Unmarshal(v, &text) == nil {
			list = append(list, text)
		}
	}
	return list
}

// at returns the value at the path in the payload, nil if there is none.
func (c *claims) at(path []string) jsontext.Value {
	at := c.all
	for _, name := range path {
		var object map[string]jsontext.Value
		if json.Unmarshal(at, &object) != nil {
			return nil
		}
		at = object[name]
	}
	return at
}

// An audience is one string or several (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON accepts a string or a list of strings.
func (a *audience) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		*a = audience{""}
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// A moment is a NumericDate: seconds since 1970, possibly with a fraction.
type moment struct{ time.Time }

var errMoment = errors.New("not a date")

// UnmarshalJSON accepts numbers up to 2^38 seconds, some 8,700 years.
func (m *moment) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > 1<<38 {
		return errMoment
	}
	m.Time = time.Unix(int64(math.Floor(seconds)), 0)
	return nil
}
