package secret

import "strings"

// The kinds of owner.
const (
	KindUser = "user"
	KindApp  = "app"
)

// An Owner owns secrets: a user of OpenHands, or an app of Nx1. Create one with [User]
// or [App]. Its text form is kind/id, as in grants.
type Owner struct{ Kind, ID string }

// User returns the owner of a user's custom secrets.
func User(id string) Owner { return Owner{KindUser, id} }

// App returns the owner of an app's secrets. The id is a UUID in upper or lower case.
func App(id string) Owner { return Owner{KindApp, strings.ToLower(id)} }

// ParseOwner parses kind/id. The error is an InvalidError, which does not quote the text.
func ParseOwner(text string) (Owner, error) {
	kind, id, _ := strings.Cut(text, "/")
	switch {
	case id == "" || id == AnyID:
	case kind == KindUser:
		return User(id), nil
	case kind == KindApp:
		return App(id), nil
	}
	return Owner{}, &InvalidError{Field: "owner", Reason: "must be user/<id> or app/<uuid>"}
}

func (o Owner) String() string { return o.Kind + "/" + o.ID }

// An OwnerInfo is an owner with the number of its secrets.
type OwnerInfo struct {
	Owner
	Secrets int
}

// A Ref identifies one secret. Names are unique within an owner.
type Ref struct {
	Owner Owner
	Name  string
}

func (r Ref) String() string { return r.Owner.String() + "/" + r.Name }
