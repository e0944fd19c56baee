// Package config loads the config file. A config has no secrets, only paths of files
// with secrets, so it can be shown to anyone.
//
// Start at [Config]. Each part of the file has a Go file of its own with its fields and
// checks. The comments of the fields are the manual.
package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

// Config is the whole file. Paths are relative to its directory.
type Config struct {
	// Listen is the address and the transport of the APIs.
	Listen Listen `yaml:"listen"`
	// State is where all durable data of the server are.
	State State `yaml:"state"`
	// Reads configures how current the state of a node must be. Only with state.postgres.
	Reads Reads `yaml:"reads"`
	// Audit configures the audit log, which is in the state.
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
	c.State.setDefaults()
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

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// resolve makes paths relative to the directory of the config file.
func (c *Config) resolve(dir string) {
	paths := append(c.reloaded(), &c.State.Path, &c.State.Key.File)
	if p := c.State.Postgres; p != nil {
		paths = append(paths, &p.URLFile, &p.Cache)
	}
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
