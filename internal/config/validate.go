package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	c.Listen.validate(&m)
	m.bad(!oneOf(c.Log.Format, "text", "json"), "log.format: must be text or json")
	m.bad(!oneOf(c.Log.Level, "info", "warn", "error"), "log.level: must be info, warn or error")
	m.bad(!oneOf(c.Log.Access, "off", "errors", "all"), "log.access: must be off, errors or all")
	m.bad(!oneOf(c.Log.Access, "off") && !oneOf(c.Log.Level, "info"), "log.access: needs log.level info, the level of its lines")
	m.bad(c.Metrics != nil && !hostPort(c.Metrics.Address), "metrics.address: must be host:port")
	c.State.validate(&m)
	c.Reads.validate(&m, c.State)
	c.Audit.validate(&m, c.State)
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

func exactlyOne(set ...bool) bool {
	first := slices.Index(set, true)
	return first >= 0 && !slices.Contains(set[first+1:], true)
}

// oneOf also accepts "", for which there is a default.
func oneOf(s string, choices ...string) bool { return s == "" || slices.Contains(choices, s) }

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
