package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// parallel is the number of requests that a client sends at the same time.
const parallel = 8

// RevealAll returns the named secrets with their values, in the given order. It fails if one of them fails.
func RevealAll(ctx context.Context, s Secrets, names []string) ([]Secret, error) {
	all := make([]Secret, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, name := range names {
		group.Go(func() (err error) {
			if all[i], err = s.Reveal(ctx, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

// A Ref names one value: a secret, and a data key unless it has one value only.
type Ref struct{ Name, DataKey string }

// ParseRef reads NAME or NAME.KEY. A name with dots has to come with its key apart.
func ParseRef(text, key string) Ref {
	if key != "" {
		return Ref{text, key}
	}
	name, key, _ := strings.Cut(text, ".")
	return Ref{name, key}
}

func (r Ref) String() string {
	if r.DataKey == "" {
		return r.Name
	}
	return r.Name + "." + r.DataKey
}

// Keys returns the data keys of a secret, sorted.
func (s Secret) Keys() []string {
	keys := make([]string, 0, len(s.Data))
	for key := range s.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Find returns the data key that the reference means: without a key that of the only value.
func (s Secret) Find(r Ref) (key string, err error) {
	keys := s.Keys()
	switch _, found := s.Data[r.DataKey]; {
	case found:
		return r.DataKey, nil
	case r.DataKey != "":
		return "", fmt.Errorf("%s has no data key %s: it has %s", s.Name, r.DataKey, strings.Join(keys, ", "))
	case len(keys) == 1:
		return keys[0], nil
	case len(keys) == 0:
		return "", fmt.Errorf("%s has no values", s.Name)
	}
	return "", fmt.Errorf("%s has several values: name one of %s.%s", s.Name, s.Name, strings.Join(keys, ", "+s.Name+"."))
}
