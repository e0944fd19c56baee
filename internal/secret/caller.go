package secret

import (
	"slices"
	"time"
)

// An Action is an operation on secrets, by its name in grants.
type Action string

// The actions. List covers a secret's name, description, data keys and times. Only
// Reveal covers its values, and no other action implies it.
const (
	List   Action = "list"
	Create Action = "create"
	Write  Action = "write"
	Delete Action = "delete"
	Reveal Action = "reveal"
)

// Actions returns all actions that a grant can name.
func Actions() []Action { return []Action{List, Create, Write, Delete, Reveal, Admin} }

// AnyID in a grant's owner stands for every owner of the kind.
const AnyID = "*"

// A Grant allows or, with Deny, forbids actions on the secrets of one owner or of
// every owner of a kind. In a file:
//
//	actions: [list, create, write, delete]
//	owner: app/0f8fad5b-d9cb-469f-a165-70867728950e
type Grant struct {
	Actions []Action
	Owner   Owner     // its ID may be AnyID
	Names   []string  // empty: all the owner's secrets
	Deny    bool      // forbids and overrides all other grants
	Until   time.Time // zero: without end
	Source  string    // location for explain, such as keys/psks.yaml:12
}

// covers reports whether the grant applies. A ref without a name stands for all
// secrets of the owner: an allowing grant on some of them covers it, so that those
// can be listed; a denial of some does not.
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

// A Caller is the authenticated sender of a request. The zero Caller is allowed
// nothing.
type Caller struct {
	Subject      string // for the audit log: name
	CredentialID string // for the audit log: id of the credential
	User         string // owner id of the caller's custom secrets
	From         string // for the audit log: address of the peer
	Request      string // for the audit log: id of the request
	Grants       []Grant

	// Sandbox is the only sandbox on whose routes the credential works; empty: on no
	// sandbox's routes. On other routes the grants decide: an agent key may list and
	// reveal the secrets for which it was created, on every route of their owner.
	Sandbox string

	// Profile is the agent profile for which the credential was created, or empty. A
	// list for that profile shows the secrets that its grants allow.
	Profile string

	// WriteBack are the grants that apply only when an agent writes a renewed value
	// back under the version that it has read.
	WriteBack []Grant

	// Credential is the caller's credential if it can stop working during a request;
	// otherwise nil.
	Credential Credential

	// Memory limits the memory of the request; nil sets no limit.
	Memory Memory

	// Fresh brings this process's state up to date with the changes that other processes have
	// made before the request, and returns an error if the credential is unknown then; nil if
	// no other process changes the state. [Service] calls it for operations that read outside
	// of a transaction. A change needs no call: it is committed only on the newest state.
	Fresh func() error
}

// Confirm returns the error of Fresh. A handler that answers without [Service] calls it first.
func (c Caller) Confirm() error {
	if c.Fresh == nil {
		return nil
	}
	return c.Fresh()
}

// Memory is the share of the server's memory that a request may hold until it ends.
type Memory interface {
	// Hold reserves more bytes. It returns ErrBusy if they are not available.
	Hold(bytes int) error
}

// Hold reserves memory for the caller's request.
func (c Caller) Hold(bytes int) error {
	if c.Memory == nil {
		return nil
	}
	return c.Memory.Hold(bytes)
}

// May reports whether a grant of the caller allows the action and none denies it.
func (c Caller) May(action Action, ref Ref) bool { return c.mayAt(time.Now(), action, ref) }

func (c *Caller) mayAt(now time.Time, action Action, ref Ref) bool {
	by := c.decidesAt(now, action, ref)
	return by != nil && !by.Deny
}

// WritingBack returns the caller with the additional grants for writing back.
func (c Caller) WritingBack() Caller {
	c.Grants = slices.Concat(c.Grants, c.WriteBack)
	return c
}

// Decides returns the deciding grant: one that denies the action, or else the first
// that allows it. Nil means that no grant applies and the action is denied.
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

// Lacks returns the first action of a grant that the caller could not pass on, because it
// does not have it itself: on all the secrets of the grant, for as long, and without a
// denial of any of them. The owner of the grant may have [AnyID].
func (c Caller) Lacks(g Grant) (action Action, lacks bool) {
	now, names := time.Now(), g.Names
	if len(names) == 0 {
		names = []string{""} // all
	}
	for _, action := range g.Actions {
		for _, name := range names {
			if !c.hasAll(now, action, g, name) {
				return action, true
			}
		}
	}
	return "", false
}

// hasAll reports whether the caller has the action on the secret of this name, or on all
// secrets if it is empty, of every owner of the grant.
func (c *Caller) hasAll(now time.Time, action Action, g Grant, name string) (has bool) {
	for i := range c.Grants {
		own := &c.Grants[i]
		if own.Owner.Kind != g.Owner.Kind || !slices.Contains(own.Actions, action) || own.over(now) {
			continue
		}
		same := own.Owner.ID == g.Owner.ID || own.Owner.ID == AnyID
		named := len(own.Names) == 0 || (name != "" && slices.Contains(own.Names, name))
		switch {
		case own.Deny && (same || g.Owner.ID == AnyID) && (named || name == ""):
			return false
		case !own.Deny && same && named && (own.Until.IsZero() || (!g.Until.IsZero() && !own.Until.Before(g.Until))):
			has = true
		}
	}
	return has
}

// rightsDependOnName reports whether the caller's rights may differ between secrets of
// the same owner.
func (c Caller) rightsDependOnName() bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return len(g.Names) > 0 })
}

// gains reports whether a rename must be refused: the caller may not write under the
// new name, or has rights under it that it lacks under the old one.
func (c Caller) gains(from, to Ref) bool {
	return !c.May(Write, to) || slices.ContainsFunc(Actions(), func(a Action) bool { return c.May(a, to) && !c.May(a, from) })
}

// sees reports whether any action on the secret is allowed, so that the caller may
// know whether it exists.
func (c Caller) sees(ref Ref) bool {
	return slices.ContainsFunc(Actions(), func(a Action) bool { return c.May(a, ref) })
}

// refusal returns the error for a denied action: ErrNotFound if the caller may not
// know whether the secret or app exists, ErrForbidden if it may, or if it has no
// grant on this kind of owner. A list of owners is always ErrForbidden, and so is a list
// of a user's secrets, because a caller can ask only for its own.
func (c Caller) refusal(ref Ref) error {
	whole := Ref{Owner: ref.Owner}
	switch {
	case ref.Owner.ID == AnyID, c.sees(ref):
		return ErrForbidden
	case c.sees(whole):
		return ErrNotFound
	case ref.Owner.Kind == KindApp && c.seesSome(KindApp):
		return ErrNotFound
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
