package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/grant"
)

// OIDC authenticates callers by access tokens, which the server verifies
// itself. By default it accepts the tokens of Keycloak (payload typ Bearer) and
// of RFC 9068 (header typ at+jwt), and rejects ID, refresh and logout tokens.
type OIDC struct {
	// Issuer is the URL of the issuer, exactly as tokens have it in iss. For
	// Keycloak: https://HOST/realms/REALM.
	Issuer string `yaml:"issuer"`
	// JWKSURL is the URL of the issuer's public keys. Default: the one in its
	// discovery document. The server starts even if the issuer is unavailable,
	// and keeps using the keys it has fetched.
	JWKSURL string `yaml:"jwks_url"`
	// CAFile holds the PEM certificates that verify the issuer's host. Default:
	// those of the system.
	CAFile string `yaml:"ca_file"`
	// Audience is the required audience of tokens (aud). Keycloak sets none by
	// default: add an audience mapper.
	Audience string `yaml:"audience"`
	// AnyAudience accepts tokens for any audience instead. It needs clients,
	// which lists the clients that may have obtained them.
	AnyAudience bool `yaml:"any_audience"`
	// Clients that may have obtained the tokens (azp). Default: any client.
	Clients []string `yaml:"clients"`
	// Algorithms that tokens may be signed with: RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, EdDSA. Default: RS256.
	Algorithms []string `yaml:"algorithms"`
	// TokenTypes are the accepted values of typ in a token's payload or header.
	// "JWT" in the header counts as no typ. Default: [Bearer, at+jwt]. Add none
	// for issuers whose access tokens have no typ, such as Okta, Entra ID or
	// Amazon Cognito.
	//
	// With none, an ID token that this issuer signed for the audience is
	// accepted, too, unless it can be recognized: by nonce, at_hash, c_hash,
	// s_hash, events, a token_use other than access, or the client that
	// obtained it (azp, client_id) in aud. So do not use a client id as the
	// audience.
	TokenTypes []string `yaml:"token_types"`
	// RolesClaim is the path to the list of the caller's roles: names separated
	// by dots, with \. for a dot in a name. Default: realm_access.roles. Other
	// examples: resource_access.CLIENT.roles, groups.
	RolesClaim string `yaml:"roles_claim"`
	// Roles are the grants of each role. Callers without a role have no rights.
	Roles map[string][]grant.Line `yaml:"roles"`
	// UserClaim is the claim that names the owner of a caller's custom secrets.
	// Only the issuer may choose its values, and they must differ from the
	// users of other strategies. Default: sub.
	UserClaim string `yaml:"user_claim"`
	// CommandLine lets people sign in at the issuer with strongroom login. It is
	// published to every client, so it has no secret. Default: none.
	CommandLine *CommandLine `yaml:"command_line"`
}

// CommandLine is the registration of strongroom login as a client of an issuer.
type CommandLine struct {
	// ClientID of a public client at the issuer that has PKCE, and the redirect
	// address http://127.0.0.1/callback with any port. Its access tokens must satisfy
	// audience and clients.
	ClientID string `yaml:"client_id"`
	// Scopes to request. Default: openid, and offline_access if the issuer's discovery
	// document has it.
	Scopes []string `yaml:"scopes"`
}

// RolesPath returns the path to the list of roles.
func (o *OIDC) RolesPath() (path []string) {
	const dot = "\x00" // never part of a name
	for name := range strings.SplitSeq(strings.ReplaceAll(o.RolesClaim, `\.`, dot), ".") {
		path = append(path, strings.ReplaceAll(name, dot, "."))
	}
	return path
}

func (o *OIDC) setDefaults() {
	o.RolesClaim = cmp.Or(o.RolesClaim, "realm_access.roles")
	o.UserClaim = cmp.Or(o.UserClaim, "sub")
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256"}
	}
	if len(o.TokenTypes) == 0 {
		o.TokenTypes = []string{"Bearer", "at+jwt"}
	}
}

// algorithms are the public-key algorithms of RFC 7518 and RFC 8037.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// noAccessTokens are values of typ, in lower case, of tokens that are not
// credentials for an API: from Keycloak, OpenID Connect, RFC 9449 and RFC 8417.
// "jwt" does not identify any kind of token.
var noAccessTokens = []string{"jwt", "id", "refresh", "offline", "logout", "id+jwt", "logout+jwt", "dpop+jwt", "dpop", "secevent+jwt"}

func (o *OIDC) validate(m *problems, path string) {
	m.bad(!absolute(o.Issuer), "%s.issuer: must be a URL", path)
	m.bad(o.JWKSURL == "" && absolute(o.Issuer) && !unforgeable(o.Issuer),
		"%s.issuer: must be https or on this machine, or jwks_url must be set: otherwise an attacker on the network could forge tokens", path)
	m.bad(o.JWKSURL != "" && !unforgeable(o.JWKSURL),
		"%s.jwks_url: must be https or on this machine: otherwise an attacker on the network could forge tokens", path)
	m.bad((o.Audience == "") != o.AnyAudience, "%s.audience: must be set, or else any_audience: true", path)
	m.bad(o.AnyAudience && len(o.Clients) == 0, "%s.any_audience: needs clients, otherwise tokens for any other service would be accepted", path)
	for i, c := range o.Clients {
		m.bad(c == "", "%s.clients[%d]: must not be empty", path, i)
	}
	for i, a := range o.Algorithms {
		m.bad(!slices.Contains(algorithms, a), "%s.algorithms[%d]: must be one of %s", path, i, strings.Join(algorithms, ", "))
	}
	for i, name := range o.TokenTypes {
		m.bad(name == "" || strings.Contains(name, "/") || slices.Contains(noAccessTokens, strings.ToLower(name)),
			"%s.token_types[%d]: must be the typ of access tokens, such as Bearer or at+jwt, or none for tokens whose typ is missing or JWT", path, i)
	}
	m.bad(o.RolesClaim != "" && slices.Contains(o.RolesPath(), ""), "%s.roles_claim: must be names separated by dots", path)
	if o.CommandLine != nil {
		m.bad(o.CommandLine.ClientID == "", "%s.command_line.client_id: must be set", path)
		m.bad(o.CommandLine.ClientID != "" && len(o.Clients) > 0 && !slices.Contains(o.Clients, o.CommandLine.ClientID),
			"%s.command_line.client_id: must be one of clients, otherwise its tokens are refused", path)
		m.bad(!unforgeable(o.Issuer), "%s.command_line: needs an issuer with https, or on this machine", path)
	}
	m.bad(len(o.Roles) == 0, "%s.roles: must have at least one, otherwise no caller has any rights", path)
	for role, lines := range sorted(o.Roles) {
		_, err := grant.Parse(lines, path+".roles."+role, nil)
		m.add(err)
	}
}

// absolute reports whether s is the URL of a host, without parts that an issuer
// in a token never has.
func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}

// unforgeable reports whether an attacker on the network cannot change the answer from
// this URL.
func unforgeable(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}
