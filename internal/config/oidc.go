package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/grant"
)

// OIDC knows callers by access tokens, which it verifies itself. By default it
// accepts those of Keycloak (payload typ Bearer) and of RFC 9068 (header typ
// at+jwt), and refuses ID, refresh and logout tokens.
type OIDC struct {
	// Issuer is the URL by which tokens name it, to the byte. Of Keycloak:
	// https://HOST/realms/REALM.
	Issuer string `yaml:"issuer"`
	// JWKSURL is where the issuer publishes its keys. Default: what its
	// discovery document says. The server starts without the issuer, and while
	// it is away the keys are good that it had.
	JWKSURL string `yaml:"jwks_url"`
	// CAFile has the certificates, in PEM, by which to know the issuer's host.
	// Default: the system's.
	CAFile string `yaml:"ca_file"`
	// Audience that tokens must be for (aud). Keycloak puts no client in by
	// itself: give it an audience mapper.
	Audience string `yaml:"audience"`
	// AnyAudience takes tokens for any audience instead, if clients says which
	// clients may have obtained them.
	AnyAudience bool `yaml:"any_audience"`
	// Clients that may have obtained tokens (azp). Default: any.
	Clients []string `yaml:"clients"`
	// Algorithms that tokens may be signed with: some of RS256, RS384, RS512,
	// PS256, PS384, PS512, ES256, ES384, ES512, EdDSA. Default: RS256.
	Algorithms []string `yaml:"algorithms"`
	// TokenTypes are the accepted values of typ in a token's payload or header.
	// "JWT" in the header counts as no typ. Default: [Bearer, at+jwt]. Add none for
	// issuers whose access tokens have no typ, such as Okta, Entra ID or Amazon
	// Cognito. Then an ID token that this issuer signed for the audience is
	// accepted, too, unless it shows what it is: by nonce, at_hash, c_hash, s_hash,
	// events, a token_use other than access, or the client that obtained it (azp,
	// client_id) in aud. So let the audience be no client's id.
	TokenTypes []string `yaml:"token_types"`
	// RolesClaim is where the list of the caller's roles is: names on the way
	// with dots between, and \. for a dot in a name. Default:
	// realm_access.roles. Others: resource_access.CLIENT.roles, groups.
	RolesClaim string `yaml:"roles_claim"`
	// Roles are what the holders of a role may do: without one, nothing.
	Roles map[string][]grant.Line `yaml:"roles"`
	// UserClaim says whose custom secrets a caller gets. Its values must be the
	// issuer's to choose and unlike the users of other strategies. Default: sub.
	UserClaim string `yaml:"user_claim"`
}

// RolesPath is the way to the list of roles.
func (o *OIDC) RolesPath() (path []string) {
	const dot = "\x00" // which no name has
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

// algorithms are those of RFC 7518 and RFC 8037 that take a public key.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// noAccessTokens are values of typ, in lower case, of tokens that are no
// credential for an API: of Keycloak, OpenID Connect, RFC 9449 and RFC 8417. "jwt"
// does not say what a token is.
var noAccessTokens = []string{"jwt", "id", "refresh", "offline", "logout", "id+jwt", "logout+jwt", "dpop+jwt", "dpop", "secevent+jwt"}

func (o *OIDC) validate(m *mistakes, path string) {
	m.bad(!absolute(o.Issuer), "%s.issuer: must be a URL", path)
	m.bad(o.JWKSURL == "" && absolute(o.Issuer) && !unforgeable(o.Issuer),
		"%s.issuer: must be https or on this machine, or jwks_url must be set: whoever is in between could let anybody in", path)
	m.bad(o.JWKSURL != "" && !unforgeable(o.JWKSURL),
		"%s.jwks_url: must be https or on this machine: whoever is in between could let anybody in", path)
	m.bad((o.Audience == "") != o.AnyAudience, "%s.audience: must be set, or else any_audience: true", path)
	m.bad(o.AnyAudience && len(o.Clients) == 0, "%s.any_audience: needs clients, or tokens for everything else would do", path)
	for i, c := range o.Clients {
		m.bad(c == "", "%s.clients[%d]: must not be empty", path, i)
	}
	for i, a := range o.Algorithms {
		m.bad(!slices.Contains(algorithms, a), "%s.algorithms[%d]: must be one of %s", path, i, strings.Join(algorithms, ", "))
	}
	for i, name := range o.TokenTypes {
		m.bad(name == "" || strings.Contains(name, "/") || slices.Contains(noAccessTokens, strings.ToLower(name)),
			"%s.token_types[%d]: must be the typ of access tokens, as Bearer or at+jwt, or none for tokens without one or with JWT", path, i)
	}
	m.bad(o.RolesClaim != "" && slices.Contains(o.RolesPath(), ""), "%s.roles_claim: must be names with dots between", path)
	m.bad(len(o.Roles) == 0, "%s.roles: must have at least one, or nobody could do anything", path)
	for role, lines := range sorted(o.Roles) {
		_, err := grant.Parse(lines, path+".roles."+role, nil)
		m.add(err)
	}
}

// absolute reports whether it is a URL of a host, in a form that tokens have it
// in, too.
func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}

// unforgeable reports whether nobody on the way can change what the URL says.
func unforgeable(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}
