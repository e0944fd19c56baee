// Package config loads the config file. The comments of its structs are the manual;
// validate.go checks the values. A config has no secrets, only paths of files with
// secrets, so it can be shown to anyone.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

// Config is the whole file. Paths are relative to its directory.
type Config struct {
	// Listen is the address and the transport of the APIs.
	Listen Listen `yaml:"listen"`
	// State is the file with all durable data of the server.
	State State `yaml:"state"`
	// Audit configures the audit log, which is in the state file.
	Audit Audit `yaml:"audit"`
	// Stores keep secrets. Choose their names.
	Stores map[string]Store `yaml:"stores"`
	// Auth has the authentication strategies. Choose their names.
	Auth map[string]Strategy `yaml:"auth"`
	// Limits are the rate limits.
	Limits Limits `yaml:"limits"`
	// Log configures the log on standard error.
	Log Log `yaml:"log"`
	// Metrics serves metrics for Prometheus. Default: none are served.
	Metrics *Metrics `yaml:"metrics"`
	// APIs are the served APIs: at least one.
	APIs APIs `yaml:"apis"`
	// Console serves the web console at /console, and the documentation of the APIs at
	// /docs: console: {}. Default: neither is served.
	Console *Console `yaml:"console"`
}

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

// Limits are rate limits. A request above a limit gets 429 before its body is read. A
// reload of the config resets the counts.
type Limits struct {
	// Requests of one credential. Default: no limit.
	Requests Rate `yaml:"requests"`
	// Denials of one credential, and requests for secrets that do not exist. Above the
	// limit all of its requests are refused until the rate allows another denial.
	// Default {per_second: 100, burst: 10000}.
	Denials *Rate `yaml:"denials"`
	// MemoryBytes bounds the memory of all request bodies and answers in flight. A caller
	// may use at most as much as it leaves free for others; above that it gets 503. The
	// process takes about 130 MiB more at its peak. At least 33554432; default 100663296.
	// A change needs a restart.
	MemoryBytes *int64 `yaml:"memory_bytes"`
	// Failures to authenticate from one address (IPv6: from one /64). Above the limit
	// all requests from it are refused until the rate allows another failure, so list
	// proxies in front in listen.proxies. Default {per_second: 100, burst: 10000}.
	Failures *Rate `yaml:"failures"`
}

// Rate is a token bucket: a long-term rate and a burst.
type Rate struct {
	// PerSecond is the long-term rate. It may be less than 1; 0 is no limit.
	PerSecond float64 `yaml:"per_second"`
	// Burst is the number allowed at once: at least 1.
	Burst int `yaml:"burst"`
}

// Listen is the address and the transport of the APIs.
type Listen struct {
	// Address is host:port; port 0 takes a free one. Any but loopback without
	// TLS gets a warning. Default 127.0.0.1:3000.
	Address string `yaml:"address"`
	// Drain is the time that requests in progress may still take after SIGTERM; with 0s
	// they are cut off. Default 10s.
	Drain duration.Duration `yaml:"drain"`
	// TLS serves HTTPS, and HTTP/2 with it, instead of plain HTTP, which is for
	// loopback and for a proxy in front.
	TLS *TLS `yaml:"tls"`
	// Connections limits the open connections. When full, the connections that
	// have been stalled longest are closed for new ones, and idle ones if few are
	// stalled. Default 2048.
	Connections int `yaml:"connections"`
	// Proxies are the addresses and networks (10.0.0.0/8) of trusted proxies in front.
	// For the audit log and limits, a request through them comes from the last address in
	// X-Forwarded-For that is not a proxy.
	Proxies []string `yaml:"proxies"`
}

// Unencrypted reports whether the server serves plain HTTP on a network, which is right
// only behind a proxy that terminates TLS.
func (l Listen) Unencrypted() bool {
	host, _, err := net.SplitHostPort(l.Address)
	if l.TLS != nil || err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}

// Log configures the log on standard error. It never has a value, a name or a credential.
type Log struct {
	// Format is text (key=value) or json. Default text.
	Format string `yaml:"format"`
	// Level is the least level that is written: info, warn or error. Default info.
	Level string `yaml:"level"`
	// Access writes a line for each request to an API (all), or only for those with a
	// status of 400 or more (errors), and a line for failed authentications. Default off.
	Access string `yaml:"access"`
}

// Metrics serves /metrics on a listener of its own, in plain HTTP and without a
// credential. No series has a name, an owner, an address or a value.
type Metrics struct {
	// Address is host:port; port 0 takes a free one. With any but loopback, make sure
	// that only Prometheus can reach the port.
	Address string `yaml:"address"`
}

// TLS is the server's certificate.
type TLS struct {
	// Certificate is a PEM file: the server's certificate, then the intermediate ones.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file with the certificate's private key. Only its owner and group may
	// read it.
	Key string `yaml:"key"`
	// MinVersion of TLS that clients must speak: "1.3" or "1.2". Default 1.3.
	MinVersion string `yaml:"min_version"`
}

// State is the state file. Only one process can have it open.
type State struct {
	// Path of the file. `strongroom init` creates it; the server never does.
	Path string `yaml:"path"`
	// Key is where the key that opens the file comes from.
	Key KeySource `yaml:"key"`
	// JournalBytes is the size of each of the two files of the journal beside the state
	// file. They take this space always, and a quarter of it is reserved for audit
	// entries on a full disk. At least 262144, in steps of 4096; default 16777216. A
	// change needs a restart.
	JournalBytes *int64 `yaml:"journal_bytes"`
}

// KeySource is the source of the key-encryption key: exactly one of these. The key is 32 random
// bytes in base64.
type KeySource struct {
	// File with the key. Only its owner and group may read it.
	File string `yaml:"file"`
	// Env is the name of an environment variable.
	Env string `yaml:"env"`
	// Credential is the name of a systemd credential (LoadCredential=).
	Credential string `yaml:"credential"`
}

// Audit configures the audit log.
type Audit struct {
	// Retention is the age up to which entries are kept, at least 1d. Older ones are
	// dropped every hour. Default: all are kept.
	Retention duration.Duration `yaml:"retention"`
	// ValueReads selects when values are returned: flushed, after the entry of the read is on
	// disk (the default), or written, after it is written to the journal. The entry is then
	// on disk within 20 ms: a crash of the process loses none, a power failure at most these.
	// Counted reads of agent keys are always flushed.
	ValueReads string `yaml:"value_reads"`
	// Anchor keeps the head of the log outside of the state file, which detects an old
	// copy put back in its place.
	Anchor *Anchor `yaml:"anchor"`
	// Stream sends each entry to a collector, at least once and in order. It begins with
	// the oldest entry. No request waits for it. Entries that it has yet to send are not
	// dropped by retention.
	Stream *Stream `yaml:"stream"`
}

// Stream is the destination of audit entries: exactly one of these. Another destination
// gets all entries again.
type Stream struct {
	// File gets each entry as a line of JSON. It is created with mode 0600, and again after
	// it was renamed or removed, as by logrotate.
	File string `yaml:"file"`
	// Syslog is a syslog server.
	Syslog *Syslog `yaml:"syslog"`
	// HTTP is a collector that accepts JSON, such as Vector, Fluent Bit or Loki behind one.
	HTTP *Collector `yaml:"http"`
}

// Syslog is a server for messages of RFC 5424 over TLS (RFC 5425), with octet counting.
// Its protocol has no acknowledgement: entries that the server has received and then loses
// itself are lost.
type Syslog struct {
	// Address is host:port. The usual port is 6514.
	Address string `yaml:"address"`
	// Plain sends over TCP without TLS: only to an address on this machine.
	Plain bool `yaml:"plain"`
	// CAFile holds the PEM certificates that verify the server. Default: those of the
	// system.
	CAFile string `yaml:"ca_file"`
	// Certificate is a PEM file with a certificate to show to the server, and key one with
	// its private key. Default: none is shown.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file. Only its owner and group may read it.
	Key string `yaml:"key"`
}

// Collector is an HTTP server that gets batches of entries by POST. A status of 200 to 299
// acknowledges a batch.
type Collector struct {
	// URL of the collector: https, or http on this machine.
	URL string `yaml:"url"`
	// Format of a batch is ndjson (one object a line) or json (an array). Default ndjson.
	Format string `yaml:"format"`
	// TokenFile has a token for Authorization: Bearer. It is read for each batch. Only its
	// owner and group may read it. Default: none is sent.
	TokenFile string `yaml:"token_file"`
	// CAFile holds the PEM certificates that verify the collector. Default: those of the
	// system.
	CAFile string `yaml:"ca_file"`
	// Certificate is a PEM file with a certificate to show to the collector, and key one
	// with its private key. Default: none is shown.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file. Only its owner and group may read it.
	Key string `yaml:"key"`
}

// paths returns the fields with paths of files.
func (s *Stream) paths() []*string {
	paths := []*string{&s.File}
	if s.Syslog != nil {
		paths = append(paths, &s.Syslog.CAFile, &s.Syslog.Certificate, &s.Syslog.Key)
	}
	if s.HTTP != nil {
		paths = append(paths, &s.HTTP.TokenFile, &s.HTTP.CAFile, &s.HTTP.Certificate, &s.HTTP.Key)
	}
	return paths
}

// Anchor is the destination of the log's head: exactly one of these.
type Anchor struct {
	// File in a directory that the server may write, preferably on another disk. The
	// server compares it with the log when it starts.
	File string `yaml:"file"`
	// Stdout writes the head to standard output for a log collector. Compare it with
	// strongroom audit verify --anchor.
	Stdout bool `yaml:"stdout"`
}

// Store keeps secrets: exactly one of these.
type Store struct {
	// Bolt keeps them in the state file, sealed: bolt: {}.
	Bolt *Bolt `yaml:"bolt"`
	// Kubernetes keeps them as Secrets of a cluster, where pods can mount them.
	Kubernetes *Kubernetes `yaml:"kubernetes"`
}

// Bolt keeps secrets in the state file, with earlier versions and deleted secrets.
type Bolt struct {
	// Versions is the number of earlier versions kept per secret. Default 10.
	Versions *int `yaml:"versions"`
	// DeletedFor is the time for which a deleted secret can be restored. Default 30d.
	DeletedFor *duration.Duration `yaml:"deleted_for"`
	// PastBytes limits the bytes of one owner's earlier versions and deleted secrets.
	// The oldest are dropped first. Default 67108864.
	PastBytes *int64 `yaml:"past_bytes"`
}

// Kubernetes keeps secrets as Secrets of one namespace.
type Kubernetes struct {
	// Namespace of the secrets. Use it for nothing else, because the right to list
	// Secrets there is the right to read them.
	Namespace string `yaml:"namespace"`
	// Kubeconfig is the file with the cluster's address and our credentials. Default:
	// the cluster and service account of the pod that the server runs in.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context in the kubeconfig. Default: its current one.
	Context string `yaml:"context"`
	// Timeout is the limit for one operation; after it the answer is 503. Default 10s.
	Timeout duration.Duration `yaml:"timeout"`
}

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

// Load reads the config file. It reports all errors at once, each with the path of its
// field.
func Load(path string) (*Config, error) {
	text, err := safefile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	// Defaults for fields where an explicit 0 differs from an absent field.
	c := &Config{Listen: Listen{Drain: duration.Duration(10 * time.Second), Connections: 2048}}
	err = strictyaml.DecodeFile(text, c)
	if _, ok := errors.AsType[*strictyaml.SyntaxError](err); !ok {
		err = errors.Join(err, strictyaml.WithLines(text, c.validate()))
	}
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	c.setDefaults()
	c.resolve(filepath.Dir(path))
	return c, nil
}

func (c *Config) setDefaults() {
	if c.Listen.Address == "" {
		c.Listen.Address = "127.0.0.1:3000"
	}
	if c.Listen.TLS != nil && c.Listen.TLS.MinVersion == "" {
		c.Listen.TLS.MinVersion = "1.3"
	}
	setDefault(&c.Limits.Denials, Rate{PerSecond: 100, Burst: 10_000})
	setDefault(&c.Limits.Failures, Rate{PerSecond: 100, Burst: 10_000})
	setDefault(&c.Limits.MemoryBytes, 96<<20)
	setDefault(&c.State.JournalBytes, 16<<20)
	if c.Audit.ValueReads == "" {
		c.Audit.ValueReads = "flushed"
	}
	if c.APIs.OpenHands != nil {
		c.APIs.OpenHands.setDefaults(c.Auth)
	}
	if c.APIs.Nx1 != nil {
		c.APIs.Nx1.setDefaults()
	}
	if c.APIs.Vault != nil {
		c.APIs.Vault.setDefaults()
	}
	if c.Console != nil {
		c.Console.setDefaults(c)
	}
	for _, s := range c.Stores {
		if s.Bolt != nil {
			setDefault(&s.Bolt.Versions, 10)
			setDefault(&s.Bolt.DeletedFor, duration.Duration(30*duration.Day))
			setDefault(&s.Bolt.PastBytes, 64<<20)
		}
		if s.Kubernetes != nil && s.Kubernetes.Timeout == 0 {
			s.Kubernetes.Timeout = duration.Duration(10 * time.Second)
		}
	}
	for _, s := range c.Auth {
		if s.Anonymous != nil && s.Anonymous.User == "" {
			s.Anonymous.User = "default"
		}
		if s.OIDC != nil {
			s.OIDC.setDefaults()
		}
		if s.ServiceAccount != nil {
			s.ServiceAccount.setDefaults()
		}
	}
}

func (console *Console) setDefaults(c *Config) {
	if console.Auth == nil {
		console.Auth = c.apiKeys()
	}
	for name, o := range console.OIDC {
		o.Label = cmp.Or(o.Label, "Sign in with "+name)
	}
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

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// resolve makes paths relative to the directory of the config file.
func (c *Config) resolve(dir string) {
	paths := append(c.reloaded(), &c.State.Path, &c.State.Key.File)
	if c.Audit.Anchor != nil {
		paths = append(paths, &c.Audit.Anchor.File)
	}
	if c.Audit.Stream != nil {
		paths = append(paths, c.Audit.Stream.paths()...)
	}
	for _, s := range c.Stores {
		if s.Kubernetes != nil {
			paths = append(paths, &s.Kubernetes.Kubeconfig)
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Networks returns the networks of the proxies.
func (l Listen) Networks() (networks []netip.Prefix) {
	for _, p := range l.Proxies {
		network, _ := parseNetwork(p) // Load has reported an error
		networks = append(networks, network)
	}
	return networks
}

// parseNetwork also accepts a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}

// ServeMetricsOn replaces metrics.address.
func (c *Config) ServeMetricsOn(address string) error {
	c.Metrics = &Metrics{Address: address}
	return c.validate()
}

// ListenOn replaces the address of the file.
func (c *Config) ListenOn(address string) error {
	c.Listen.Address = address
	return c.validate()
}
