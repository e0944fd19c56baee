package config

import (
	"reflect"
	"slices"
)

// Files are those besides the config that are read again with it when one of
// them changes.
func (c *Config) Files() (paths []string) {
	for _, p := range c.reloaded() {
		if *p != "" {
			paths = append(paths, *p)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(paths)))
}

// reloaded are the fields with the paths of these files.
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
	return paths
}

// Keep puts back what a running process cannot change, as it is in the config
// that the process runs on, and names the fields. The error is what is wrong
// with the rest then.
func (c *Config) Keep(running *Config) (fields []string, err error) {
	keep(&fields, "listen.address", &c.Listen.Address, running.Listen.Address)
	keep(&fields, "listen.drain", &c.Listen.Drain, running.Listen.Drain)
	keep(&fields, "listen.connections", &c.Listen.Connections, running.Listen.Connections)
	if (c.Listen.TLS == nil) != (running.Listen.TLS == nil) { // the rest of it can change
		keep(&fields, "listen.tls", &c.Listen.TLS, running.Listen.TLS)
	}
	keep(&fields, "state.path", &c.State.Path, running.State.Path)
	keep(&fields, "state.key", &c.State.Key, running.State.Key)
	keep(&fields, "audit", &c.Audit, running.Audit)
	keep(&fields, "stores", &c.Stores, running.Stores)
	return fields, c.validate()
}

func keep[T any](fields *[]string, path string, field *T, running T) {
	if !reflect.DeepEqual(*field, running) {
		*fields = append(*fields, path)
		*field = running
	}
}
