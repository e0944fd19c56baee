package secret

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

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

// What a name of [Ref.StoredAs] is made of.
const (
	slugBytes = 40
	hashChars = 26 // 130 bits in base32
)

// StoredAs is the secret's name where names must be DNS subdomains (RFC 1123),
// as those of Kubernetes objects: the same on every store, so that a secret
// can move, and never the same for two secrets, whatever they are called.
//
//	nx1-0f8fad5b-d9cb-469f-a165-70867728950e-db-password-6bxy6iv2f2cpipy27q6f5ouyvn
func (r Ref) StoredAs() string {
	hash := sha256.Sum256([]byte(r.Owner.ID + "\x00" + r.Name))
	digits := strings.ToLower(base32.StdEncoding.EncodeToString(hash[:]))[:hashChars]
	parts := []string{"nx1", r.Owner.ID, slug(r.Name), digits}
	if r.Owner.Kind == KindUser {
		parts[0], parts[1] = "openhands", slug(r.Owner.ID)
	}
	return strings.Join(parts, "-")
}

// slug keeps what a DNS label may hold and turns the rest into single hyphens.
// It tells a reader which secret this is; the hash beside it makes it unique.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			c = '-'
		}
		if c == '-' && strings.HasSuffix(b.String(), "-") {
			continue
		}
		b.WriteRune(c)
	}
	s := strings.TrimLeft(b.String(), "-")
	s = strings.TrimRight(s[:min(len(s), slugBytes)], "-")
	if s == "" {
		return "x"
	}
	return s
}
