package secret

import "strings"

// The kinds of owner.
const (
	KindUser = "user"
	KindApp  = "app"
)

// An Owner owns secrets: a user who runs agents, or an app. Create one with [User]
// or [App]. Its text form is kind/id, as in grants.
type Owner struct{ Kind, ID string }

// User returns the owner of a user's custom secrets.
func User(id string) Owner { return Owner{KindUser, id} }

// App returns the owner of an app's secrets. The id is a UUID in upper or lower case.
func App(id string) Owner { return Owner{KindApp, strings.ToLower(id)} }

func (o Owner) String() string { return o.Kind + "/" + o.ID }

// A Ref identifies one secret. Names are unique within an owner.
type Ref struct {
	Owner Owner
	Name  string
}

func (r Ref) String() string { return r.Owner.String() + "/" + r.Name }
