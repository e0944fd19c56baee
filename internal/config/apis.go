package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// APIs are the served APIs.
type APIs struct {
	// OpenHands serves OpenHands' custom secrets: /api/secrets, and the same secrets on
	// the routes of its newer APIs.
	OpenHands *OpenHands `yaml:"openhands"`
	// Nx1 serves Nx1's app secrets: /api/app/{app_id}/secrets.
	Nx1 *Nx1 `yaml:"nx1"`
	// Vault serves the secrets of the other APIs to clients of Vault and OpenBao, for
	// reading: /v1/{mount}/data. Default: it is not served.
	Vault *Vault `yaml:"vault"`
}

// Vault is the KV API of Vault, version 2, for reading. It serves app/<uuid>/<name> from
// the store of apis.nx1, and user/<id>/<name> from that of apis.openhands.
type Vault struct {
	// Auth lists the strategies of its callers in order: names under auth. Clients send
	// X-Vault-Token, so one of them should be an api_key with that header.
	Auth []string `yaml:"auth"`
	// Mount is the first part of the paths that clients use: a name of letters, digits,
	// - and _. Default secret.
	Mount string `yaml:"mount"`
}

// OpenHands is the API of OpenHands.
type OpenHands struct {
	// Store that keeps its secrets: a name under stores.
	Store string `yaml:"store"`
	// Auth lists the strategies of its callers in order: names under auth.
	Auth []string `yaml:"auth"`
	// Names that new secrets may have: any, or env for those that an
	// environment variable can have. Default any.
	Names string `yaml:"names"`
	// SuspiciousValues selects the treatment of a value that looks like a mistake: an
	// extra newline or blank, carriage returns, a byte order mark, invisible characters,
	// quotes or NAME= around it, a PEM file that is truncated or has no line breaks, a
	// placeholder, a value that is masked in part, or fewer than 6 bytes; and of a name
	// with a blank or = in it. warn stores it and says so in the header
	// X-Strongroom-Warning, reject refuses the request, accept says nothing. Default
	// warn.
	SuspiciousValues string `yaml:"suspicious_values"`
	// AgentServer serves the routes of OpenHands' agent server, /api/settings/secrets,
	// which return values to callers with the right to reveal.
	AgentServer Surface `yaml:"agent_server"`
	// V1 serves the routes of OpenHands' V1 API: /api/v1/secrets.
	V1 Surface `yaml:"v1"`
	// Sandboxes serves /api/v1/sandboxes/{sandbox_id}/settings/secrets to keys that were
	// created for a sandbox. By default it has no anonymous access.
	Sandboxes Surface `yaml:"sandboxes"`
	// Profiles are OpenHands' agent profiles by id (UUIDs in lower case). A list for a
	// profile has only the profile's secrets that the caller may list.
	Profiles map[string]Profile `yaml:"profiles"`
	// Origins of web pages that may use these APIs from a browser (CORS), for example
	// https://canvas.example or http://localhost:3001. Default: only pages from this
	// server's own address.
	Origins []string `yaml:"origins"`
}

// Profile lists the secrets that agents of a profile see. It grants nothing.
type Profile struct {
	// User that owns the profile. It is unknown to other users. Default: default.
	User string `yaml:"user"`
	// Names of the user's secrets; [] for none. Default: all.
	Names []string `yaml:"names"`
}

// Surface is an additional API for the secrets of another API. It is served unless it is
// disabled.
type Surface struct {
	// Disabled switches it off.
	Disabled bool `yaml:"disabled"`
	// Auth lists the strategies of its callers in order: names under auth.
	// Default: those of the API that it belongs to.
	Auth []string `yaml:"auth"`
}

// Nx1 is the API of Nx1.
type Nx1 struct {
	// Store that keeps its secrets: a name under stores.
	Store string `yaml:"store"`
	// Auth lists the strategies of its callers in order: names under auth.
	Auth []string `yaml:"auth"`
	// MaskedValues selects the treatment of a value that is the mask ****: reject
	// the request, keep the stored value, or store the asterisks. Default
	// reject.
	MaskedValues string `yaml:"masked_values"`
	// SuspiciousValues is as for OpenHands.
	SuspiciousValues string `yaml:"suspicious_values"`
}

func (o *OpenHands) setDefaults(auth map[string]Strategy) {
	if o.Names == "" {
		o.Names = "any"
	}
	if o.SuspiciousValues == "" {
		o.SuspiciousValues = "warn"
	}
	for _, s := range []*Surface{&o.AgentServer, &o.V1} {
		if s.Auth == nil {
			s.Auth = o.Auth
		}
	}
	for id, p := range o.Profiles {
		if p.User == "" {
			p.User = "default"
			o.Profiles[id] = p
		}
	}
	if o.Sandboxes.Auth == nil {
		o.Sandboxes.Auth = slices.DeleteFunc(slices.Clone(o.Auth), func(name string) bool { return auth[name].Anonymous != nil })
	}
}

func (n *Nx1) setDefaults() {
	if n.MaskedValues == "" {
		n.MaskedValues = "reject"
	}
	if n.SuspiciousValues == "" {
		n.SuspiciousValues = "warn"
	}
}

func (v *Vault) setDefaults() {
	if v.Mount == "" {
		v.Mount = "secret"
	}
}

func (a APIs) validate(m *problems, c *Config) {
	m.bad(a.OpenHands == nil && a.Nx1 == nil, "apis: must have at least one of openhands, nx1")
	if a.OpenHands != nil {
		c.checkAPI(m, "apis.openhands", a.OpenHands.Store, a.OpenHands.Auth)
		m.bad(!oneOf(a.OpenHands.Names, "any", "env"), "apis.openhands.names: must be any or env")
		checkSuspicious(m, "apis.openhands", a.OpenHands.SuspiciousValues)
		c.checkAuth(m, "apis.openhands.agent_server", a.OpenHands.AgentServer.Auth)
		c.checkAuth(m, "apis.openhands.v1", a.OpenHands.V1.Auth)
		c.checkAuth(m, "apis.openhands.sandboxes", a.OpenHands.Sandboxes.Auth)
		for id := range sorted(a.OpenHands.Profiles) {
			m.bad(!profileID.MatchString(id), "apis.openhands.profiles.%s: must be a UUID in lower case, with hyphens", id)
		}
		for i, o := range a.OpenHands.Origins {
			m.bad(!origin(o), "apis.openhands.origins[%d]: must be https://host or http://host:port in lower case, without a path, as browsers send it", i)
		}
	}
	if a.Nx1 != nil {
		c.checkAPI(m, "apis.nx1", a.Nx1.Store, a.Nx1.Auth)
		m.bad(!oneOf(a.Nx1.MaskedValues, "reject", "keep", "store"), "apis.nx1.masked_values: must be reject, keep or store")
		checkSuspicious(m, "apis.nx1", a.Nx1.SuspiciousValues)
	}
	a.Vault.validate(m, c)
}

func (v *Vault) validate(m *problems, c *Config) {
	if v == nil {
		return
	}
	c.requireAuth(m, "apis.vault", v.Auth)
	for i, name := range v.Auth {
		m.bad(c.Auth[name].Anonymous != nil, "apis.vault.auth[%d]: must not be anonymous: callers without a key get no values", i)
	}
	m.bad(v.Mount != "" && !mountName.MatchString(v.Mount), "apis.vault.mount: must be 1 to 64 letters, digits, '-' or '_'")
	m.bad(slices.Contains(vaultPaths, v.Mount), "apis.vault.mount: must not be %s, which are paths of Vault", strings.Join(vaultPaths, ", "))
}

var (
	mountName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	vaultPaths = []string{"auth", "cubbyhole", "identity", "sys"}
)

var profileID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func checkSuspicious(m *problems, path, values string) {
	m.bad(!oneOf(values, "warn", "reject", "accept"), "%s.suspicious_values: must be warn, reject or accept", path)
}

func (c *Config) checkAPI(m *problems, path, store string, auth []string) {
	_, ok := c.Stores[store]
	m.bad(!ok, "%s.store: must be a name under stores: %s", path, namesOf(c.Stores))
	c.requireAuth(m, path, auth)
}

func (c *Config) requireAuth(m *problems, path string, auth []string) {
	m.bad(len(auth) == 0, "%s.auth: must name at least one strategy: without one, no caller can use the API", path)
	c.checkAuth(m, path, auth)
}

func (c *Config) checkAuth(m *problems, path string, auth []string) {
	for i, name := range auth {
		_, ok := c.Auth[name]
		m.bad(!ok, "%s.auth[%d]: must be a name under auth: %s", path, i, namesOf(c.Auth))
		twice := slices.Contains(auth[:i], name)
		m.bad(twice, "%s.auth[%d]: is listed twice", path, i)
		for _, before := range auth[:i] {
			m.bad(!twice && c.Auth[before].hides(c.Auth[name]), "%s.auth[%d]: would never be used, since %s accepts the same credentials", path, i, before)
		}
	}
}

// origin reports whether a browser could send s as the origin of a page (RFC
// 6454, section 6.2). It rejects null, since any page can arrange to send that.
func origin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) {
		return false
	}
	switch port := u.Port(); u.Scheme {
	case "https":
		return port != "443" && !strings.HasSuffix(s, ":")
	case "http":
		return port != "80" && !strings.HasSuffix(s, ":")
	}
	return false
}
