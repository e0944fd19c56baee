package config

import "strings"

// Strategy is a way to authenticate callers: exactly one of these.
type Strategy struct {
	// APIKey authenticates callers by a key in a header.
	APIKey *APIKey `yaml:"api_key"`
	// OIDC authenticates callers by access tokens of an OpenID Connect issuer, sent as
	// Authorization: Bearer.
	OIDC *OIDC `yaml:"oidc"`
	// ServiceAccount authenticates pods of a Kubernetes cluster by the tokens of their
	// service accounts, sent as Authorization: Bearer.
	ServiceAccount *ServiceAccount `yaml:"service_account"`
	// Anonymous admits local requests without a key, with every right except reveal:
	// for the stock OpenHands web page. It needs a listen address on loopback.
	Anonymous *Anonymous `yaml:"anonymous"`
}

// APIKey authenticates callers by a key in a header.
type APIKey struct {
	// Header with the key, for example X-Session-API-Key.
	Header string `yaml:"header"`
	// Prefix before the key, for example "Bearer ". With a prefix, other strategies can
	// share the header; a key must not look like a token (two dots).
	Prefix string `yaml:"prefix"`
	// KeysFile has the hashes of the keys and their grants. Without it, only issued keys
	// are accepted: see strongroom apikey.
	KeysFile string `yaml:"keys_file"`
}

// Anonymous admits callers without a key.
type Anonymous struct {
	// User whose custom secrets they get. Default: default.
	User string `yaml:"user"`
}

// apiKeys returns the names of the strategies of kind api_key, sorted.
func (c *Config) apiKeys() (names []string) {
	for name, s := range sorted(c.Auth) {
		if s.APIKey != nil {
			names = append(names, name)
		}
	}
	return names
}

func (s Strategy) validate(m *problems, path, address string) {
	m.bad(!exactlyOne(s.APIKey != nil, s.OIDC != nil, s.ServiceAccount != nil, s.Anonymous != nil), "%s: must set exactly one of api_key, oidc, service_account, anonymous", path)
	if s.APIKey != nil {
		m.bad(!headerName(s.APIKey.Header), "%s.api_key.header: must be the name of a header", path)
		m.bad(!printable(s.APIKey.Prefix), "%s.api_key.prefix: must be printable ASCII", path)
	}
	if s.OIDC != nil {
		s.OIDC.validate(m, path+".oidc")
	}
	if s.ServiceAccount != nil {
		s.ServiceAccount.validate(m, path+".service_account")
	}
	m.bad(s.Anonymous != nil && !loopback(address),
		"%s.anonymous: needs a listen.address on loopback, otherwise any host could write here", path)
}

// headerName reports whether s is a token (RFC 9110, section 5.6.2).
func headerName(s string) bool {
	illegal := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }
	return s != "" && !strings.ContainsFunc(s, illegal)
}
