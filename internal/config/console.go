package config

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Console is the web console. It shows the secrets of the stores that the APIs use, to
// callers with their own rights.
type Console struct {
	// Address is host:port of a listener of its own, with the settings of listen. It
	// serves the console beside the APIs, and listen.address then serves only the APIs.
	// Any but loopback without TLS gets a warning. Default: listen.address serves both.
	// It takes a restart.
	Address string `yaml:"address"`
	// Auth lists the strategies of kind api_key by whose keys people can sign in: names
	// under auth; [] for none. Default: all of that kind.
	Auth []string `yaml:"auth"`
	// OIDC are the issuers at which people can sign in, by the names of their strategies
	// of kind oidc under auth, as {sso: {client_id: strongroom-console}}. Access tokens
	// must be as for the APIs and give the same rights. Default: none.
	OIDC map[string]*ConsoleOIDC `yaml:"oidc"`
	// URL is the address by which browsers reach the server, as
	// https://secrets.example.org, for the way back from an issuer. Its name need not be
	// in hosts. Default: the address in the request, with https only if listen.tls is set,
	// so set it behind a proxy that terminates TLS.
	URL string `yaml:"url"`
	// Hosts are the names by which browsers reach the server, without a port, as
	// secrets.example.org. Requests by other names are refused, because a page of
	// another site could make its name resolve to this server. Always allowed are
	// addresses, localhost, and with listen.tls the names in the certificate.
	Hosts []string `yaml:"hosts"`
}

// ConsoleOIDC is the registration of the console as a client of an issuer, for the
// authorization code flow with PKCE. Its redirect URL is
// https://HOST/console/signed-in/STRATEGY.
type ConsoleOIDC struct {
	// ClientID is the id of the client at the issuer. If the strategy has clients, it must
	// be one of them.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile has the secret of a confidential client. Only its owner and group
	// may read it. Default: a public client.
	ClientSecretFile string `yaml:"client_secret_file"`
	// Scopes to ask for beside openid. Issuers that give refresh tokens only on request
	// need offline_access: without a refresh token, a session ends with its access token.
	Scopes []string `yaml:"scopes"`
	// Label is the text of the button. Default: Sign in with NAME.
	Label string `yaml:"label"`
	// AuthorizationURL and TokenURL are the issuer's endpoints. Default: those of its
	// discovery document, which is not read if the strategy has a jwks_url.
	AuthorizationURL string `yaml:"authorization_url"`
	TokenURL         string `yaml:"token_url"`
}

func (console *Console) setDefaults(c *Config) {
	if console.Auth == nil {
		console.Auth = c.apiKeys()
	}
	for name, o := range console.OIDC {
		o.Label = cmp.Or(o.Label, "Sign in with "+name)
	}
}

func (console *Console) validate(m *problems, c *Config) {
	if console == nil {
		return
	}
	for i, name := range console.Auth {
		m.bad(c.Auth[name].APIKey == nil, "console.auth[%d]: must be the name of a strategy of kind api_key under auth", i)
		m.bad(slices.Contains(console.Auth[:i], name), "console.auth[%d]: is listed twice", i)
	}
	m.bad(console.Address != "" && !hostPort(console.Address), "console.address: must be host:port")
	m.bad(console.Address != "" && !loopback(console.Address) && slices.ContainsFunc(slices.Collect(maps.Values(c.Auth)), func(s Strategy) bool { return s.Anonymous != nil }),
		"console.address: must be on loopback while a strategy under auth is anonymous, because it also serves the APIs")
	for name, o := range sorted(console.OIDC) {
		o.validate(m, "console.oidc."+name, c.Auth[name].OIDC)
	}
	m.bad(len(console.OIDC) == 0 && (len(c.apiKeys()) == 0 || (console.Auth != nil && len(console.Auth) == 0)),
		"console.auth: must name at least one strategy of kind api_key, or console.oidc one of kind oidc: without one, no caller can sign in")
	m.bad(console.URL != "" && (!origin(console.URL) || !unforgeable(console.URL)),
		"console.url: must be https://host, or http://host:port on this machine, in lower case and without a path")
	for i, host := range console.Hosts {
		m.bad(!hostName.MatchString(host), "console.hosts[%d]: must be the name of a host in lower case, without a port, such as secrets.example.org", i)
	}
}

// validate checks the client for the strategy, which is nil if there is none of kind oidc.
func (o *ConsoleOIDC) validate(m *problems, path string, strategy *OIDC) {
	m.bad(strategy == nil, "%s: must be the name of a strategy of kind oidc under auth", path)
	if o == nil {
		m.bad(true, "%s.client_id: must be set", path)
		return
	}
	m.bad(o.ClientID == "", "%s.client_id: must be set", path)
	m.bad(strategy != nil && o.ClientID != "" && len(strategy.Clients) > 0 && !slices.Contains(strategy.Clients, o.ClientID),
		"%s.client_id: must be one of the clients of its strategy under auth, which refuses the tokens of others", path)
	for i, scope := range o.Scopes {
		m.bad(!scopeToken(scope), "%s.scopes[%d]: must be one scope, without blanks", path, i)
	}
	m.bad((o.AuthorizationURL == "") != (o.TokenURL == ""), "%s.authorization_url: must be set together with token_url", path)
	for field, at := range sorted(map[string]string{"authorization_url": o.AuthorizationURL, "token_url": o.TokenURL}) {
		m.bad(at != "" && !unforgeable(at), "%s.%s: must be https or on this machine", path, field)
	}
	m.bad(strategy != nil && strategy.JWKSURL != "" && o.TokenURL == "", "%s.token_url: must be set, and authorization_url, because the strategy has a jwks_url", path)
}

// scopeToken reports whether s is a scope (RFC 6749, section 3.3).
func scopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// hostName is a DNS name (RFC 1123).
var hostName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$`)
