package secret

import (
	"slices"
	"time"
)

// An Action is something that can be done to secrets, as grants name it.
type Action string

// The actions. List covers a secret's name, description, keys and times;
// its values take Reveal, which nothing else implies.
const (
	List   Action = "list"
	Create Action = "create"
	Write  Action = "write"
	Delete Action = "delete"
	Reveal Action = "reveal"
)

// Actions are all that a grant can name.
func Actions() []Action { return []Action{List, Create, Write, Delete, Reveal, Admin} }

// AnyID in a grant's owner stands for every owner of the kind.
const AnyID = "*"

// A Grant allows actions on the secrets of one owner, or of every owner of a
// kind, or with Deny forbids them. As a file:
//
//	actions: [list, create, write, delete]
//	owner: app/0f8fad5b-d9cb-469f-a165-70867728950e
type Grant struct {
	Actions []Action
	Owner   Owner     // its ID may be AnyID
	Names   []string  // empty: all the owner's secrets
	Deny    bool      // forbids, whatever other grants allow
	Until   time.Time // zero: without end
	Source  string    // where it is written, as in keys/psks.yaml:12, for those who ask why
}

// covers reports whether the grant is about this. A ref without a name is the
// owner's secrets as a whole: an allowing grant on some of them covers it, so
// that those can be listed; a denial of some does not.
func (g *Grant) covers(action Action, ref Ref, now time.Time) bool {
	return slices.Contains(g.Actions, action.asGranted()) && g.about(ref, now)
}

func (g *Grant) about(ref Ref, now time.Time) bool {
	if g.Owner.Kind != ref.Owner.Kind || (g.Owner.ID != AnyID && g.Owner.ID != ref.Owner.ID) {
		return false
	}
	if g.over(now) {
		return false
	}
	switch {
	case len(g.Names) == 0:
		return true
	case ref.Name == "":
		return !g.Deny
	default:
		return slices.Contains(g.Names, ref.Name)
	}
}

func (g *Grant) over(now time.Time) bool { return !g.Until.IsZero() && !now.Before(g.Until) }

// A Caller is who asks, as authentication found out. The zero Caller may
// nothing.
type Caller struct {
	Subject string // for the record: who
	Key     string // for the record: id of the credential
	User    string // whose custom secrets are meant: the owner's id, not the key's
	From    string // for the record: address of the peer
	Request string // for the record: id of the request
	Grants  []Grant

	// Sandbox is the only one whose routes the credential is good for; empty,
	// it was made for none and is good for no sandbox's routes. What it may do
	// elsewhere its grants say, as always: an agent grant's are the names and
	// values of the secrets that it was made for, on any route of their owner.
	Sandbox string

	// Profile is the agent profile for which the credential was made, if it was
	// made for one: a list for that profile shows what its grants allow.
	Profile string

	// WriteBack are grants that apply only where an agent writes a renewed value
	// back under the version that it has read.
	WriteBack []Grant

	// Credential is what the caller was known by, if that can stop working
	// while a request is under way; nil if it cannot.
	Credential Credential
}

// May reports whether some grant of the caller's covers the action and none
// denies it.
func (c Caller) May(action Action, ref Ref) bool { return c.mayAt(time.Now(), action, ref) }

func (c *Caller) mayAt(now time.Time, action Action, ref Ref) bool {
	by := c.decidesAt(now, action, ref)
	return by != nil && !by.Deny
}

// WritingBack is the caller where an agent may write back.
func (c Caller) WritingBack() Caller {
	c.Grants = slices.Concat(c.Grants, c.WriteBack)
	return c
}

// Decides returns the grant by which the caller may or may not: one that
// denies it, or else the first that allows it. With none, it may not.
func (c Caller) Decides(action Action, ref Ref) (by *Grant) {
	return c.decidesAt(time.Now(), action, ref)
}

func (c *Caller) decidesAt(now time.Time, action Action, ref Ref) (by *Grant) {
	for i := range c.Grants {
		g := &c.Grants[i]
		if (by != nil && !g.Deny) || !g.covers(action, ref, now) {
			continue
		}
		if by = g; g.Deny {
			return by
		}
	}
	return by
}

// tellsNamesApart reports whether some of an owner's secrets may be another
// matter to the caller than the rest.
func (c Caller) tellsNamesApart() bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return len(g.Names) > 0 })
}

// gains reports whether a rename is not the caller's to make: it may not write
// under the new name, or may there what it may not under the old one.
func (c Caller) gains(from, to Ref) bool {
	return !c.May(Write, to) || slices.ContainsFunc(Actions(), func(a Action) bool { return c.May(a, to) && !c.May(a, from) })
}

// sees reports whether the caller may do anything at all with the secret, and
// so may know whether it exists.
func (c Caller) sees(ref Ref) bool {
	return slices.ContainsFunc(Actions(), func(a Action) bool { return c.May(a, ref) })
}

// refusal is what a caller is told who may not do what it asked: ErrNotFound
// where it may not even know whether there is such a secret or app, and
// ErrForbidden where it may, or has no business with this kind of secret.
// A user's secrets as a whole are no riddle: one asks only for one's own.
func (c Caller) refusal(ref Ref) error {
	whole := Ref{Owner: ref.Owner}
	switch {
	case c.sees(ref):
		return ErrForbidden
	case c.sees(whole):
		return errHidden
	case ref.Owner.Kind == KindApp && c.seesSome(KindApp):
		return errHidden
	default:
		return ErrForbidden
	}
}

func (c Caller) seesSome(kind string) bool {
	now := time.Now()
	return slices.ContainsFunc(c.Grants, func(g Grant) bool {
		return !g.Deny && g.Owner.Kind == kind && !g.over(now)
	})
}
