package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/duration"
)

// problems collects the errors in a config, each with the path of its field.
type problems []error

func (m *problems) bad(is bool, format string, args ...any) {
	if is {
		*m = append(*m, fmt.Errorf(format, args...))
	}
}

func (m *problems) add(err error) {
	if err != nil {
		*m = append(*m, err)
	}
}

func (c *Config) validate() error {
	var m problems
	m.bad(c.Listen.Address != "" && !hostPort(c.Listen.Address), "listen.address: must be host:port")
	m.bad(!oneOf(c.Log.Format, "text", "json"), "log.format: must be text or json")
	m.bad(!oneOf(c.Log.Level, "info", "warn", "error"), "log.level: must be info, warn or error")
	m.bad(!oneOf(c.Log.Access, "off", "errors", "all"), "log.access: must be off, errors or all")
	m.bad(!oneOf(c.Log.Access, "off") && !oneOf(c.Log.Level, "info"), "log.access: needs log.level info, the level of its lines")
	m.bad(c.Metrics != nil && !hostPort(c.Metrics.Address), "metrics.address: must be host:port")
	m.bad(c.Listen.Drain < 0, "listen.drain: must not be negative")
	if t := c.Listen.TLS; t != nil {
		m.bad(t.Certificate == "", "listen.tls.certificate: must be set")
		m.bad(t.Key == "", "listen.tls.key: must be set")
		m.bad(!oneOf(t.MinVersion, "1.2", "1.3"), "listen.tls.min_version: must be 1.2 or 1.3, in quotes")
	}
	for i, p := range c.Listen.Proxies {
		_, err := parseNetwork(p)
		m.bad(err != nil, "listen.proxies[%d]: must be an address, or a network such as 10.0.0.0/8", i)
	}
	m.bad(c.Listen.Connections < 1, "listen.connections: must be at least 1")
	m.bad(c.State.Path == "", "state.path: must be set")
	c.State.Key.validate(&m)
	if size := c.State.JournalBytes; size != nil {
		m.bad(*size < minJournal || *size > maxJournal || *size%journalStep != 0,
			"state.journal_bytes: must be %d to %d, in steps of %d", minJournal, maxJournal, journalStep)
	}
	m.bad(c.Audit.Retention != 0 && c.Audit.Retention < duration.Duration(duration.Day), "audit.retention: must be at least 1d")
	m.bad(!oneOf(c.Audit.ValueReads, "flushed", "written"), "audit.value_reads: must be flushed or written")
	if a := c.Audit.Anchor; a != nil {
		m.bad((a.File == "") != a.Stdout, "audit.anchor: must set exactly one of file, stdout")
	}
	c.Audit.Stream.validate(&m)
	m.bad(len(c.Stores) == 0, "stores: must have at least one")
	for name, s := range sorted(c.Stores) {
		s.validate(&m, "stores."+name)
		m.bad(name == "" || strings.ContainsAny(name, "/ "), "stores.%s: the name must not be empty or have spaces or slashes", name)
	}
	for name, s := range sorted(c.Auth) {
		s.validate(&m, "auth."+name, c.Listen.Address)
	}
	c.Limits.validate(&m)
	c.APIs.validate(&m, c)
	c.Console.validate(&m, c)
	return errors.Join(m...)
}

func (s *Stream) validate(m *problems) {
	if s == nil {
		return
	}
	kinds := 0
	for _, set := range []bool{s.File != "", s.Syslog != nil, s.HTTP != nil} {
		if set {
			kinds++
		}
	}
	m.bad(kinds != 1, "audit.stream: must set exactly one of file, syslog, http")
	if l := s.Syslog; l != nil {
		host, _, _ := net.SplitHostPort(l.Address)
		m.bad(!hostPort(l.Address) || host == "", "audit.stream.syslog.address: must be host:port")
		m.bad(l.Plain && l.CAFile+l.Certificate+l.Key != "", "audit.stream.syslog.plain: excludes ca_file, certificate and key")
		m.bad(l.Plain && host != "" && !loopback(l.Address), "audit.stream.syslog.plain: needs an address on this machine, otherwise the entries could be read on the network")
		m.bad((l.Certificate == "") != (l.Key == ""), "audit.stream.syslog.certificate: needs key, and key needs certificate")
	}
	if h := s.HTTP; h != nil {
		m.bad(!collectorURL(h.URL), "audit.stream.http.url: must be https, or http on this machine, without a user or a fragment")
		m.bad(!oneOf(h.Format, "ndjson", "json"), "audit.stream.http.format: must be ndjson or json")
		m.bad((h.Certificate == "") != (h.Key == ""), "audit.stream.http.certificate: needs key, and key needs certificate")
	}
}

// collectorURL reports whether entries and a token can be sent there.
func collectorURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && unforgeable(s) && u.User == nil && u.Fragment == ""
}

func hostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil
}

func (s Store) validate(m *problems, path string) {
	m.bad((s.Bolt == nil) == (s.Kubernetes == nil), "%s: must set exactly one of bolt, kubernetes", path)
	if s.Bolt != nil {
		s.Bolt.validate(m, path+".bolt")
	}
	if s.Kubernetes != nil {
		s.Kubernetes.validate(m, path+".kubernetes")
	}
}

func (k *Kubernetes) validate(m *problems, path string) {
	m.bad(!namespaceName.MatchString(k.Namespace), "%s.namespace: must be the name of a namespace", path)
	m.bad(k.Context != "" && k.Kubeconfig == "", "%s.context: needs a kubeconfig", path)
	m.bad(k.Timeout < 0, "%s.timeout: must not be negative", path)
}

// namespaceName is a DNS label (RFC 1123).
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (b *Bolt) validate(m *problems, path string) {
	m.bad(b.Versions != nil && (*b.Versions < 0 || *b.Versions > 100), "%s.versions: must be 0 to 100", path)
	m.bad(b.DeletedFor != nil && *b.DeletedFor < 0, "%s.deleted_for: must not be negative", path)
	m.bad(b.PastBytes != nil && *b.PastBytes < 0, "%s.past_bytes: must not be negative", path)
}

func (k KeySource) validate(m *problems) {
	set := 0
	for _, source := range []string{k.File, k.Env, k.Credential} {
		if source != "" {
			set++
		}
	}
	m.bad(set != 1, "state.key: must set exactly one of file, env, credential")
	m.bad(strings.Contains(k.Credential, "/"), "state.key.credential: must be a name, not a path")
}

func (s Strategy) validate(m *problems, path, address string) {
	kinds := 0
	for _, set := range []bool{s.APIKey != nil, s.OIDC != nil, s.ServiceAccount != nil, s.Anonymous != nil} {
		if set {
			kinds++
		}
	}
	m.bad(kinds != 1, "%s: must set exactly one of api_key, oidc, service_account, anonymous", path)
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

func (l Limits) validate(m *problems) {
	l.Requests.validate(m, "limits.requests")
	if l.Denials != nil {
		l.Denials.validate(m, "limits.denials")
	}
	if l.Failures != nil {
		l.Failures.validate(m, "limits.failures")
	}
	m.bad(l.MemoryBytes != nil && *l.MemoryBytes < minMemory, "limits.memory_bytes: must be at least %d", minMemory)
}

func (r Rate) validate(m *problems, path string) {
	m.bad(!(r.PerSecond >= 0 && r.PerSecond <= maxPerSecond), "%s.per_second: must be 0 to %d", path, maxPerSecond)
	m.bad(r.PerSecond > 0 && r.Burst < 1, "%s.burst: must be at least 1", path)
	m.bad(r.PerSecond == 0 && r.Burst > 0, "%s.per_second: must be set: without it there is no limit", path)
	m.bad(r.Burst < 0, "%s.burst: must not be negative", path)
}

// Limits of the journal's files; the upper one is journal.MaxBytes.
const (
	minJournal  = 256 << 10
	maxJournal  = 1 << 30
	journalStep = 4096
)

// minMemory is auth.MinBudget.
const minMemory = 32 << 20

// maxPerSecond is more than any server reaches. A larger rate was meant as no limit.
const maxPerSecond = 1_000_000

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

// oneOf also accepts "", for which there is a default.
func oneOf(s string, choices ...string) bool { return s == "" || slices.Contains(choices, s) }

// headerName reports whether s is a token (RFC 9110, section 5.6.2).
func headerName(s string) bool {
	illegal := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }
	return s != "" && !strings.ContainsFunc(s, illegal)
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

// loopback reports whether only processes on this machine can connect to the
// address.
func loopback(address string) bool {
	if address == "" {
		return true // the default
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // already reported
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// sorted iterates over a map in the order of its keys, so that errors are always reported
// in the same order.
func sorted[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

// namesOf lists the valid names, for an error.
func namesOf[V any](m map[string]V) string {
	if len(m) == 0 {
		return "there is none yet"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
