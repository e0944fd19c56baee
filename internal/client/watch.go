package client

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/strongroom/strongroom/internal/secret"
)

// Unchanged reports whether the secrets still have the revisions that they had. With all it also looks for
// secrets that have come or gone.
func Unchanged(ctx context.Context, s Secrets, last []Secret, all bool) (bool, error) {
	if all {
		entries, err := s.List(ctx)
		if err != nil {
			return false, err
		}
		if !slices.EqualFunc(entries, last, func(e Entry, l Secret) bool { return e.Name == l.Name }) {
			return false, nil
		}
	}
	changed := make([]bool, len(last))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, l := range last {
		group.Go(func() error {
			revision, err := s.Changed(ctx, l.Name, l.Revision)
			changed[i] = revision != l.Revision || errors.Is(err, secret.ErrNotFound)
			if changed[i] {
				return nil
			}
			return err
		})
	}
	err := group.Wait()
	return err == nil && !slices.Contains(changed, true), err
}

// Choose returns the named secrets with their values, all of them without names.
func Choose(ctx context.Context, s Secrets, names []string) ([]Secret, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	descriptions := map[string]string{}
	every := len(names) == 0
	for _, e := range entries {
		descriptions[e.Name] = e.Description
		if every {
			names = append(names, e.Name)
		}
	}
	all, err := RevealAll(ctx, s, slices.Compact(slices.Sorted(slices.Values(names))))
	for i := range all {
		all[i].Description = descriptions[all[i].Name]
	}
	return all, err
}
