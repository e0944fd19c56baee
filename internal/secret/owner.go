package secret

import "strings"

// The kinds of owner.
const (
	KindUser = "user"
	KindApp  = "app"
)

// An Owner is whose secrets they are: a person who runs agents, or an app.
// Make one with [User] or [App]; it is written as kind/id, as in a grant.
type Owner struct{ Kind, ID string }

// User is the owner of a person's custom secrets.
func User(id string) Owner { return Owner{KindUser, id} }

// App is the owner of an app's secrets. The id is a UUID, in any case.
func App(id string) Owner { return Owner{KindApp, strings.ToLower(id)} }

func (o Owner) String() string { return o.Kind + "/" + o.ID }

// A Ref points to one secret. Names are unique within an owner.
type Ref struct {
	Owner Owner
	Name  string
}

func (r Ref) String() string { return r.Owner.String() + "/" + r.Name }
