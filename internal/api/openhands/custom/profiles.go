package custom

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/secret"
)

// ErrNoProfile is a [secret.ErrNotFound] for an unknown agent profile.
var ErrNoProfile = fmt.Errorf("agent profile: %w", secret.ErrNotFound)

// Profiles are the agent profiles of the config, by their ids in lower case.
type Profiles map[string]Profile

// A Profile lists the secrets that agents of this profile see. It grants nothing.
type Profile struct {
	User  string   // owner of the profile; it is unknown to other users
	Names []string // nil: all of the user's
}

// List returns the secrets that the caller may list, in order of name. With the id of a
// profile, in any form of a UUID, it returns only those of the profile. A key that was
// created for the profile lists the secrets that its grants allow, and of these only the
// names in the config's profile, if it has that profile. Errors: [ErrNoProfile], and
// those of the service.
func (p Profiles) List(ctx context.Context, secrets *secret.Service, caller secret.Caller, profile *string) ([]secret.Info, error) {
	owner := secret.User(caller.User)
	if profile == nil {
		return secrets.List(ctx, caller, owner, secret.Page{})
	}
	names, all, known := p.of(caller, *profile)
	if !known {
		return nil, secrets.Refuse(ctx, caller, secret.List, secret.Ref{Owner: owner}, ErrNoProfile)
	}
	infos, err := secrets.List(ctx, caller, owner, secret.Page{})
	if err != nil || all {
		return infos, err
	}
	return slices.DeleteFunc(infos, func(i secret.Info) bool { return !slices.Contains(names, i.Name) }), nil
}

// of returns the names of the secrets that the profile includes. all reports that it includes every
// secret, known that the profile exists.
func (p Profiles) of(caller secret.Caller, text string) (names []string, all, known bool) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, false, false
	}
	profile, configured := p[id.String()]
	if configured && profile.User == caller.User {
		return profile.Names, profile.Names == nil, true
	}
	return nil, true, caller.Profile == id.String()
}
