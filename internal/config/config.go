// Package config is the config file: what can be set (the structs, whose
// comments are the manual), and what is wrong with it (validate.go). It holds
// no secrets, only the paths of files that do, so it can be shown to anybody.
package config

import (
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

// Config is the whole file. Paths are relative to the directory it is in.
type Config struct {
	// Listen is where the APIs are served.
	Listen Listen `yaml:"listen"`
	// State is the file that keeps what must outlive the process.
	State State `yaml:"state"`
	// Audit is the record of every attempt on a secret, in the state file.
	Audit Audit `yaml:"audit"`
	// Stores are where secrets are kept, by names of your choice.
	Stores map[string]Store `yaml:"stores"`
	// Auth are the ways to know a caller, by names of your choice.
	Auth map[string]Strategy `yaml:"auth"`
	// Limits are how often is too often.
	Limits Limits `yaml:"limits"`
	// APIs are what is served: at least one.
	APIs APIs `yaml:"apis"`
}

// Limits are how often is too often. What is above them is answered with 429
// before anything but its headers is read. Counting begins anew when the
// config is reloaded.
type Limits struct {
	// Requests of one credential. Default: no limit.
	Requests Rate `yaml:"requests"`
	// Denials to one credential: what it asks for and may not have. One that is
	// above it gets nothing at all until the rate allows for another denial.
	// Default {per_second: 100, burst: 10000}.
	Denials *Rate `yaml:"denials"`
	// Failures to authenticate from one address; of IPv6, from one /64. Nobody
	// gets in from one that is above it until the rate allows for another
	// failure: with a proxy in front, name it in listen.proxies. Default
	// {per_second: 100, burst: 10000}.
	Failures *Rate `yaml:"failures"`
}

// Rate is so many a second in the long run.
type Rate struct {
	// PerSecond may be less than 1; 0 is no limit.
	PerSecond float64 `yaml:"per_second"`
	// Burst is how many there may be at once: at least 1.
	Burst int `yaml:"burst"`
}

// Listen is where and how the APIs are served.
type Listen struct {
	// Address is host:port; port 0 takes a free one. Any but loopback without
	// TLS gets a warning. Default 127.0.0.1:3000.
	Address string `yaml:"address"`
	// Drain is how long requests under way may take when the server is told
	// to stop; with 0s they are cut off. Default 10s.
	Drain duration.Duration `yaml:"drain"`
	// TLS serves HTTPS, and HTTP/2 with it, instead of plain HTTP, which is for
	// loopback and for a proxy in front.
	TLS *TLS `yaml:"tls"`
	// Connections limits the open connections. When full, the connections that
	// have been stalled longest are closed for new ones, and idle ones if few are
	// stalled. Default 2048.
	Connections int `yaml:"connections"`
	// Proxies are the addresses and networks (10.0.0.0/8) of proxies in front,
	// whose X-Forwarded-For is believed: a request then comes, for the audit
	// log and for limits, from the last address in it that is no proxy's.
	Proxies []string `yaml:"proxies"`
}

// Unencrypted reports whether requests cross a network without TLS of the
// server's own, which is right only behind a proxy that ends TLS.
func (l Listen) Unencrypted() bool {
	host, _, err := net.SplitHostPort(l.Address)
	if l.TLS != nil || err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}

// TLS is how the server shows who it is.
type TLS struct {
	// Certificate is a PEM file: the server's own, then those that signed it.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file with the certificate's private key, readable by no one
	// but owner and group.
	Key string `yaml:"key"`
	// MinVersion of TLS that clients must speak: "1.3" or "1.2". Default 1.3.
	MinVersion string `yaml:"min_version"`
}

// State is the state file, of which one process at a time has the use.
type State struct {
	// Path of the file, made by `strongroom init`. The server never makes a
	// new one in the place of one that is missing.
	Path string `yaml:"path"`
	// Key is where the key that opens the file comes from.
	Key Key `yaml:"key"`
}

// Key is where a key-encryption key comes from: exactly one of these. It is 32
// random bytes in base64.
type Key struct {
	// File that holds it, readable by no one but owner and group.
	File string `yaml:"file"`
	// Env is the name of an environment variable.
	Env string `yaml:"env"`
	// Credential is the name of a systemd credential (LoadCredential=).
	Credential string `yaml:"credential"`
}

// Audit is the record of every attempt.
type Audit struct {
	// Retention is how far back entries stay, at least 1d: older ones are
	// dropped every hour. Default: all stay.
	Retention duration.Duration `yaml:"retention"`
	// Anchor keeps the head of the log outside of the state file, so that an
	// old copy put back in its place is noticed.
	Anchor *Anchor `yaml:"anchor"`
}

// Anchor is where the head of the log is kept: exactly one of these.
type Anchor struct {
	// File in a directory in which the server may write; best on another disk.
	// It is looked at when the server starts.
	File string `yaml:"file"`
	// Stdout writes it to standard output, for a log collector to keep: strongroom
	// audit verify --anchor looks at what that has.
	Stdout bool `yaml:"stdout"`
}

// Store is where secrets are kept: exactly one of these.
type Store struct {
	// Bolt keeps them in the state file, sealed: bolt: {}.
	Bolt *Bolt `yaml:"bolt"`
	// Kubernetes keeps them as Secrets of a cluster, where pods can mount them.
	Kubernetes *Kubernetes `yaml:"kubernetes"`
}

// Bolt keeps secrets in a part of the state file, and some of their past.
type Bolt struct {
	// Versions are how many earlier versions of a secret are kept. Default 10.
	Versions *int `yaml:"versions"`
	// DeletedFor is how long a deleted secret can be put back. Default 30d,
	// which is 30 days.
	DeletedFor *duration.Duration `yaml:"deleted_for"`
	// PastBytes are how many bytes one owner's earlier versions and deleted
	// secrets may take, the oldest of which go first. Default 67108864.
	PastBytes *int64 `yaml:"past_bytes"`
}

// Kubernetes keeps secrets as Secrets of one namespace.
type Kubernetes struct {
	// Namespace that holds the secrets, and best nothing else: whoever may list
	// Secrets there can read them all.
	Namespace string `yaml:"namespace"`
	// Kubeconfig is a file that says where the cluster is and who we are there.
	// Default: the cluster and the service account of the pod that we run in.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context in the kubeconfig. Default: its current one.
	Context string `yaml:"context"`
	// Timeout is how long an operation may take, after which it is answered
	// with 503. Default 10s.
	Timeout duration.Duration `yaml:"timeout"`
}

// Strategy is a way to know a caller: exactly one of these.
type Strategy struct {
	// APIKey knows callers by a key in a header.
	APIKey *APIKey `yaml:"api_key"`
	// OIDC knows callers by access tokens of an OpenID Connect issuer, sent as
	// Authorization: Bearer.
	OIDC *OIDC `yaml:"oidc"`
	// ServiceAccount knows pods of a Kubernetes cluster by the tokens of their
	// service accounts, sent as Authorization: Bearer.
	ServiceAccount *ServiceAccount `yaml:"service_account"`
	// Anonymous lets in whoever sends no key from this machine, to do
	// everything but reveal: for the stock OpenHands web page. It needs a
	// listen address on loopback.
	Anonymous *Anonymous `yaml:"anonymous"`
}

// APIKey knows callers by a key in a header.
type APIKey struct {
	// Header that carries the key, as X-Session-API-Key.
	Header string `yaml:"header"`
	// Prefix stands before the key, as "Bearer ". Then the header can be shared
	// with other strategies; a key must not look like a token (two dots).
	Prefix string `yaml:"prefix"`
	// KeysFile holds the hashes of the keys and what their holders may do.
	// Without one, only issued keys are known: see strongroom apikey.
	KeysFile string `yaml:"keys_file"`
}

// Anonymous lets in callers without a key.
type Anonymous struct {
	// User whose custom secrets they get. Default: default.
	User string `yaml:"user"`
}

// APIs are what is served.
type APIs struct {
	// OpenHands is OpenHands' custom secrets: /api/secrets, and the same secrets
	// by the routes of its newer APIs.
	OpenHands *OpenHands `yaml:"openhands"`
	// Nx1 is Nx1's app secrets: /api/app/{app_id}/secrets.
	Nx1 *Nx1 `yaml:"nx1"`
}

// OpenHands is the API of OpenHands.
type OpenHands struct {
	// Store that keeps its secrets: a name under stores.
	Store string `yaml:"store"`
	// Auth are the ways to know its callers, in this order: names under auth.
	Auth []string `yaml:"auth"`
	// Names that new secrets may have: any, or env for those that an
	// environment variable can have. Default any.
	Names string `yaml:"names"`
	// SuspiciousValues says what to do with a value that looks like a mistake:
	// a newline or blank too many, carriage returns, a byte order mark,
	// invisible characters, quotes or NAME= around it, a PEM file that is cut or
	// has lost its line breaks, a placeholder, a value that is masked in part, or
	// fewer than 6 bytes; and with a name that has a blank or = in it. warn stores
	// it and says so in the header X-Strongroom-Warning, reject refuses the
	// request, accept says nothing. Default warn.
	SuspiciousValues string `yaml:"suspicious_values"`
	// AgentServer is the routes of OpenHands' agent server, which also give
	// values to those who may reveal: /api/settings/secrets.
	AgentServer Surface `yaml:"agent_server"`
	// V1 is the routes of OpenHands' V1 API: /api/v1/secrets.
	V1 Surface `yaml:"v1"`
	// Sandboxes is what keys that were made for a sandbox read there:
	// /api/v1/sandboxes/{sandbox_id}/settings/secrets. By default nobody is
	// anonymous here.
	Sandboxes Surface `yaml:"sandboxes"`
	// Profiles are OpenHands' agent profiles, by their ids (UUIDs in lower case).
	// A list for a profile shows its secrets only, of those that the caller may
	// list.
	Profiles map[string]Profile `yaml:"profiles"`
	// Origins are those of web pages that may use these APIs from a browser
	// (CORS), as https://canvas.example or http://localhost:3001. Default: none
	// but pages that come from this server's own address.
	Origins []string `yaml:"origins"`
}

// Profile says which secrets agents of a profile are told of. It grants nothing.
type Profile struct {
	// User whose profile it is: to others it is unknown. Default: default.
	User string `yaml:"user"`
	// Names of the user's secrets; [] for none. Default: all.
	Names []string `yaml:"names"`
}

// Surface is one more API to the secrets of another. It is served unless it is
// disabled.
type Surface struct {
	// Disabled leaves it out.
	Disabled bool `yaml:"disabled"`
	// Auth are the ways to know its callers, in this order: names under auth.
	// Default: those of the API that it belongs to.
	Auth []string `yaml:"auth"`
}

// Nx1 is the API of Nx1.
type Nx1 struct {
	// Store that keeps its secrets: a name under stores.
	Store string `yaml:"store"`
	// Auth are the ways to know its callers, in this order: names under auth.
	Auth []string `yaml:"auth"`
	// MaskedValues says what to do with a value that is the mask ****: reject
	// the request, keep the stored value, or store the asterisks. Default
	// reject.
	MaskedValues string `yaml:"masked_values"`
	// SuspiciousValues is as for OpenHands.
	SuspiciousValues string `yaml:"suspicious_values"`
}

// Load reads the config file and returns every mistake in it at once, each
// with the path of its field.
func Load(path string) (*Config, error) {
	text, err := safefile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	// Here is the default where a 0 that is written is not a field left out.
	c := &Config{Listen: Listen{Drain: duration.Duration(10 * time.Second), Connections: 2048}}
	err = strictyaml.DecodeFile(text, c)
	if _, ok := errors.AsType[*strictyaml.SyntaxError](err); !ok {
		err = errors.Join(err, c.validate())
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
	if c.APIs.OpenHands != nil {
		c.APIs.OpenHands.setDefaults(c.Auth)
	}
	if c.APIs.Nx1 != nil {
		c.APIs.Nx1.setDefaults()
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

// Networks are those of the proxies.
func (l Listen) Networks() (networks []netip.Prefix) {
	for _, p := range l.Proxies {
		network, _ := parseNetwork(p) // an error has been reported by Load
		networks = append(networks, network)
	}
	return networks
}

// parseNetwork takes a single address as well.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}

// ListenOn puts another address in the place of the file's.
func (c *Config) ListenOn(address string) error {
	c.Listen.Address = address
	return c.validate()
}
