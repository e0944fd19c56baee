package config

import (
	"reflect"
	"slices"
)

// Files returns the files besides the config itself that a reload reads. A
// change of one of them starts a reload.
func (c *Config) Files() (paths []string) {
	for _, p := range c.reloaded() {
		if *p != "" {
			paths = append(paths, *p)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(paths)))
}

// reloaded returns the fields with the paths of these files.
func (c *Config) reloaded() (paths []*string) {
	if c.Listen.TLS != nil {
		paths = append(paths, &c.Listen.TLS.Certificate, &c.Listen.TLS.Key)
	}
	for _, s := range c.Auth {
		if s.APIKey != nil {
			paths = append(paths, &s.APIKey.KeysFile)
		}
		if s.OIDC != nil {
			paths = append(paths, &s.OIDC.CAFile)
		}
		if s.ServiceAccount != nil {
			paths = append(paths, &s.ServiceAccount.Kubeconfig)
		}
	}
	if c.Console != nil {
		for _, o := range c.Console.OIDC {
			paths = append(paths, &o.ClientSecretFile)
		}
	}
	return paths
}

// Keep restores the fields that a running process cannot change from the config the
// process runs on, and returns their paths. The error lists the errors in the resulting
// config.
func (c *Config) Keep(running *Config) (fields []string, err error) {
	keep(&fields, "listen.address", &c.Listen.Address, running.Listen.Address)
	keep(&fields, "listen.drain", &c.Listen.Drain, running.Listen.Drain)
	keep(&fields, "listen.connections", &c.Listen.Connections, running.Listen.Connections)
	if (c.Listen.TLS == nil) != (running.Listen.TLS == nil) { // other fields of TLS can be reloaded
		keep(&fields, "listen.tls", &c.Listen.TLS, running.Listen.TLS)
	}
	if c.Console != nil && c.Console.Address != running.consoleAddress() { // otherwise another listener would serve it
		fields = append(fields, "console.address")
		c.Console = running.Console
	}
	keep(&fields, "state.path", &c.State.Path, running.State.Path)
	keep(&fields, "state.postgres", &c.State.Postgres, running.State.Postgres)
	keep(&fields, "state.key", &c.State.Key, running.State.Key)
	keep(&fields, "state.journal_bytes", &c.State.JournalBytes, running.State.JournalBytes)
	keep(&fields, "reads", &c.Reads, running.Reads)
	keep(&fields, "audit", &c.Audit, running.Audit)
	keep(&fields, "stores", &c.Stores, running.Stores)
	keep(&fields, "log.format", &c.Log.Format, running.Log.Format)
	keep(&fields, "log.level", &c.Log.Level, running.Log.Level)
	keep(&fields, "metrics", &c.Metrics, running.Metrics)
	keep(&fields, "limits.memory_bytes", &c.Limits.MemoryBytes, running.Limits.MemoryBytes)
	return fields, c.validate()
}

func (c *Config) consoleAddress() string {
	if c.Console == nil {
		return ""
	}
	return c.Console.Address
}

func keep[T any](fields *[]string, path string, field *T, running T) {
	if !reflect.DeepEqual(*field, running) {
		*fields = append(*fields, path)
		*field = running
	}
}
