package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Selection chooses values of an owner, and the names of their environment variables.
type Selection struct {
	Only   []string // NAME or NAME.KEY; empty for all
	Prefix string   // goes before each variable's name, unless Env names it
	Env    []string // VARIABLE=NAME[.KEY]
}

// Vars reveals the selected values, in order of name, and returns the secrets that they come from as well.
func Vars(ctx context.Context, s Secrets, owner secret.Owner, sel Selection) ([]envfile.Var, []Secret, error) {
	refs, err := sel.refs()
	if err != nil {
		return nil, nil, err
	}
	names, err := sel.names(ctx, s, refs)
	if err != nil {
		return nil, nil, err
	}
	all, err := RevealAll(ctx, s, names)
	if err != nil {
		return nil, nil, err
	}
	var vars []envfile.Var
	for _, one := range all {
		for _, key := range one.Keys() {
			if len(refs) == 0 || slices.ContainsFunc(refs, func(r Ref) bool { return r.Name == one.Name && (r.DataKey == "" || r.DataKey == key) }) {
				vars = append(vars, sel.variable(owner, one, key))
			}
		}
	}
	named, err := sel.mapped(all)
	vars = slices.DeleteFunc(vars, func(v envfile.Var) bool {
		return slices.ContainsFunc(named, func(n envfile.Var) bool { return n.Secret == v.Secret && n.DataKey == v.DataKey })
	})
	return append(vars, named...), all, err
}

func (sel Selection) refs() ([]Ref, error) {
	var refs []Ref
	for _, text := range sel.Only {
		refs = append(refs, ParseRef(text, ""))
	}
	for _, text := range sel.Env {
		variable, _, found := strings.Cut(text, "=")
		if !found || !envfile.ValidEnvName(variable) {
			return nil, fmt.Errorf("--env: %q: want VARIABLE=NAME or VARIABLE=NAME.KEY", text)
		}
	}
	return refs, nil
}

// names returns the names of the secrets to reveal, sorted. The list is needed only if
// all secrets are selected.
func (sel Selection) names(ctx context.Context, s Secrets, refs []Ref) ([]string, error) {
	var names []string
	for _, r := range refs {
		names = append(names, r.Name)
	}
	if len(refs) == 0 {
		entries, err := s.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			names = append(names, e.Name)
		}
	}
	for _, text := range sel.Env {
		_, ref, _ := strings.Cut(text, "=")
		names = append(names, ParseRef(ref, "").Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// variable names a value. App secrets usually have lower-case names and variables do not, so theirs become
// upper case.
func (sel Selection) variable(owner secret.Owner, s Secret, key string) envfile.Var {
	v := envfile.Var{Secret: s.Name, DataKey: key, Value: s.Data[key]}
	if key == ValueKey {
		v.DataKey = ""
	}
	v.Env = sel.Prefix + envfile.EnvName(s.Name, v.DataKey)
	if owner.Kind == secret.KindApp {
		v.Env = sel.Prefix + strings.ToUpper(envfile.EnvName(s.Name, v.DataKey))
	}
	return v
}

func (sel Selection) mapped(all []Secret) ([]envfile.Var, error) {
	var vars []envfile.Var
	for _, text := range sel.Env {
		variable, ref, _ := strings.Cut(text, "=")
		r := ParseRef(ref, "")
		at := slices.IndexFunc(all, func(s Secret) bool { return s.Name == r.Name })
		key, err := all[at].Find(r)
		if err != nil {
			return nil, fmt.Errorf("--env: %w", err)
		}
		v := envfile.Var{Secret: r.Name, DataKey: key, Env: variable, Value: all[at].Data[key]}
		if key == ValueKey {
			v.DataKey = ""
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// Environment returns NAME=value for each, or an error that names two values under one name or a value that no
// environment can hold.
func Environment(vars []envfile.Var) ([]string, error) {
	var env []string
	seen := map[string]string{}
	for _, v := range vars {
		here := Ref{v.Secret, v.DataKey}.String()
		switch other, twice := seen[v.Env]; {
		case twice:
			return nil, fmt.Errorf("%s and %s would both be the variable %s: choose with --only, or name one with --env", other, here, v.Env)
		case strings.ContainsRune(string(v.Value), 0):
			return nil, fmt.Errorf("%s has a NUL byte, which no environment variable can hold: use --files", here)
		}
		seen[v.Env] = here
		env = append(env, v.Env+"="+string(v.Value))
	}
	return env, nil
}
