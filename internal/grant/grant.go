// Package grant parses the grants in keys files, in the config and on the command line.
// They have the same form and meaning everywhere.
package grant

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Line is the written form of a [secret.Grant]:
//
//	{actions: [list, reveal], owner: app/0f8fad5b-d9cb-469f-a165-70867728950e, names: [db]}
type Line struct {
	// Actions are some of list, create, write, delete, reveal and admin.
	Actions []secret.Action `yaml:"actions,flow" json:"actions"`
	// Owner is user/<id>, user/*, app/<uuid>, app/*, or self: the custom
	// secrets of the caller that has the grant.
	Owner string `yaml:"owner" json:"owner"`
	// Names limits the grant to these secrets of the owner. Without the field it
	// covers all of them. An empty list is an error, because it looks like a list
	// from which the last name was removed.
	Names []string `yaml:"names,omitempty" json:"names,omitempty"`
	// Deny forbids instead of allowing and overrides every other grant.
	Deny bool `yaml:"deny,omitempty" json:"deny,omitempty"`
	// Until is the time at which the grant ends.
	Until time.Time `yaml:"until,omitempty" json:"until,omitzero"`
}

// self stands for the user of the caller.
const self = "self"

// For resolves the owner self to the user of a caller. It drops such grants if the user
// is empty or "*".
func For(user string, grants []secret.Grant) (own []secret.Grant) {
	for _, g := range grants {
		if g.Owner == (secret.Owner{}) {
			if user == "" || user == secret.AnyID {
				continue
			}
			g.Owner = secret.User(user)
		}
		own = append(own, g)
	}
	return own
}

// Parse returns the grants of the lines. It returns all errors joined, each with its path
// below the given one, such as keys[0].grants. Source maps a path to a description of the
// line's location for [secret.Grant.Source]; with nil, the path is used. A grant on self
// has no owner yet: see [For].
func Parse(lines []Line, path string, source func(path string) string) (grants []secret.Grant, err error) {
	var wrong []error
	for i, line := range lines {
		at := fmt.Sprintf("%s[%d]", path, i)
		g, err := line.parse(at + ".")
		if g.Source = at; source != nil {
			g.Source = source(at)
		}
		grants, wrong = append(grants, g), append(wrong, err)
	}
	return grants, errors.Join(wrong...)
}

func (l Line) parse(path string) (secret.Grant, error) {
	var wrong []error
	if len(l.Actions) == 0 {
		wrong = append(wrong, errors.New(path+"actions: must name at least one"))
	}
	for _, a := range l.Actions {
		if !slices.Contains(secret.Actions(), a) {
			wrong = append(wrong, errors.New(path+"actions: must be some of list, create, write, delete, reveal, admin"))
		}
	}
	owner, ok := parseOwner(l.Owner)
	if !ok {
		wrong = append(wrong, errors.New(path+"owner: must be user/<id>, user/*, app/<uuid>, app/* or self"))
	}
	if l.Names != nil && len(l.Names) == 0 {
		wrong = append(wrong, errors.New(path+"names: must name at least one secret, or be left out for all secrets of the owner"))
	}
	for _, name := range l.Names {
		if err := secret.CheckName(name); err != nil {
			wrong = append(wrong, fmt.Errorf("%snames: %w", path, err))
		}
	}
	return secret.Grant{Actions: l.Actions, Owner: owner, Names: l.Names, Deny: l.Deny, Until: l.Until}, errors.Join(wrong...)
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// parseOwner accepts a star as the whole id only: user/al* is an error, not a
// pattern.
func parseOwner(s string) (secret.Owner, bool) {
	kind, id, _ := strings.Cut(s, "/")
	switch {
	case s == self:
		return secret.Owner{}, true
	case kind == secret.KindUser && id != "" && (id == secret.AnyID || !strings.Contains(id, secret.AnyID)):
		return secret.User(id), true
	case kind == secret.KindApp && (id == secret.AnyID || uuid.MatchString(id)):
		return secret.App(id), true
	}
	return secret.Owner{}, false
}
