package client

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/secret"
)

// attempts is the number of times that a change of one of several values is tried while other clients change
// the secret.
const attempts = 5

// Set creates a secret of one value or replaces a value, and leaves the secret's other values and its
// description as they are. An empty description keeps the present one.
func Set(ctx context.Context, s Secrets, owner secret.Owner, r Ref, v secret.Value, description string) (warnings []string, err error) {
	key := r.DataKey
	if key == "" {
		key = ValueKey
	}
	one := Secret{Name: r.Name, Description: description, Data: map[string]secret.Value{key: v}}
	if err := Check(owner, []Secret{one}); err != nil {
		return nil, err
	}
	for range attempts {
		warnings, err = s.Create(ctx, one)
		if !errors.Is(err, secret.ErrExists) {
			return warnings, name(r, err)
		}
		warnings, err = replaceValue(ctx, s, r, one)
		if !errors.Is(err, secret.ErrChanged) && !errors.Is(err, secret.ErrNotFound) {
			return warnings, name(r, err)
		}
	}
	return warnings, name(r, err)
}

func name(r Ref, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", r.Name, err)
}

func replaceValue(ctx context.Context, s Secrets, r Ref, one Secret) ([]string, error) {
	if u, ok := s.(*custom); ok {
		if one.Description == "" {
			var err error
			if one.Description, err = u.description(ctx, one.Name); err != nil {
				return nil, err
			}
		}
		return s.Replace(ctx, one)
	}
	there, err := s.Reveal(ctx, r.Name)
	if errors.Is(err, secret.ErrForbidden) {
		return nil, fmt.Errorf("changing a value of an app secret takes the right to reveal it, because the API replaces all values at once: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if r.DataKey == "" {
		key, err := there.Find(r)
		if err != nil {
			return nil, err
		}
		one.Data = map[string]secret.Value{key: one.Data[ValueKey]}
	}
	merged := maps.Clone(there.Data)
	maps.Copy(merged, one.Data)
	return s.Replace(ctx, Secret{Name: r.Name, Data: merged, Revision: there.Revision})
}

// RemoveKey removes one of a secret's values.
func RemoveKey(ctx context.Context, s Secrets, r Ref) error {
	there, err := s.Reveal(ctx, r.Name)
	if err != nil {
		return name(r, err)
	}
	if _, err := there.Find(r); err != nil {
		return err
	}
	delete(there.Data, r.DataKey)
	_, err = s.Replace(ctx, there)
	return name(r, err)
}

// Probe returns the kinds of secrets for which the server accepts its credential, whatever that may do there.
func Probe(ctx context.Context, server Server) (kinds []string, err error) {
	c, err := New(server)
	if err != nil {
		return nil, err
	}
	// No app has a random id. The answer tells whether the credential is known.
	for _, owner := range []secret.Owner{secret.User(""), secret.App(uuid.NewString())} {
		s, err := c.Secrets(owner)
		if err != nil {
			return nil, err
		}
		_, err = s.List(ctx)
		_, answered := errors.AsType[*AnswerError](err)
		switch {
		case errors.Is(err, ErrCredential) || errors.Is(err, secret.ErrNotFound):
		case err == nil || errors.Is(err, secret.ErrForbidden):
			kinds = append(kinds, owner.Kind)
		case !answered:
			return nil, err
		}
	}
	return kinds, nil
}
