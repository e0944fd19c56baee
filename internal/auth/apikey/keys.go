package apikey

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

// Keys is a keys file: YAML, of which a line such as the one under sha256 is
// all that is known of a key.
//
//	keys:
//	  - id: k3x7q2mf
//	    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	    subject: alice
//	    user: alice
//	    grants:
//	      - {actions: [list, create, write, delete], owner: user/alice}
//	      - {actions: [list], owner: app/*}
type Keys struct {
	Keys []Key `yaml:"keys"`
}

// A Key is what a keys file says of one key.
type Key struct {
	// ID names the key in the audit log. It is no secret.
	ID string `yaml:"id"`
	// SHA256 of the key: 64 hexadecimal digits.
	SHA256 Hash `yaml:"sha256"`
	// Subject is who has the key, for the audit log.
	Subject string `yaml:"subject"`
	// User is whose custom secrets the key is for. Several keys of a person
	// name the same user, so that a key can be replaced and nothing is lost.
	User string `yaml:"user,omitempty"`
	// Grants are what its holder may do: without one, nothing.
	Grants []Grant `yaml:"grants,omitempty"`

	grants []secret.Grant
}

// A Grant is a [secret.Grant] as it is written in a file.
type Grant struct {
	// Actions are some of list, create, write, delete and reveal.
	Actions []secret.Action `yaml:"actions,flow"`
	// Owner is user/<id>, app/<uuid> or app/*.
	Owner string `yaml:"owner"`
	// Names limits the grant to these secrets of the owner.
	Names []string `yaml:"names,omitempty"`
	// Deny forbids instead of allowing, whatever other grants say.
	Deny bool `yaml:"deny,omitempty"`
	// Until is when the grant ends.
	Until time.Time `yaml:"until,omitempty"`
}

// DefaultUser is whose custom secrets a key is for that names no user.
const DefaultUser = "default"

// ParseKeys reads a keys file. It returns every mistake in it at once, each
// with its path, and refuses a file without keys: No keys, no service.
func ParseKeys(file []byte) ([]Key, error) {
	var f Keys
	if err := strictyaml.Decode(file, &f); err != nil {
		return nil, err
	}
	if len(f.Keys) == 0 {
		return nil, errors.New("keys: must hold at least one key")
	}
	var wrong []error
	seenIDs, seenHashes := map[string]bool{}, map[Hash]bool{}
	for i := range f.Keys {
		k := &f.Keys[i]
		path := fmt.Sprintf("keys[%d].", i)
		wrong = append(wrong, k.check(path)...)
		if seenIDs[k.ID] {
			wrong = append(wrong, errors.New(path+"id: is another key's too"))
		}
		if seenHashes[k.SHA256] {
			wrong = append(wrong, errors.New(path+"sha256: is another key's too"))
		}
		seenIDs[k.ID], seenHashes[k.SHA256] = true, true
	}
	return f.Keys, errors.Join(wrong...)
}

func (k *Key) check(path string) (wrong []error) {
	bad := func(is bool, what string) {
		if is {
			wrong = append(wrong, errors.New(path+what))
		}
	}
	bad(k.ID == "", "id: must be set")
	bad(k.SHA256 == Hash{}, "sha256: must be set")
	bad(k.SHA256 == HashOf(""), "sha256: is that of an empty key")
	bad(k.Subject == "", "subject: must be set")
	if k.User == "" {
		k.User = DefaultUser
	}
	for i, g := range k.Grants {
		grant, err := g.parse(fmt.Sprintf("%sgrants[%d].", path, i))
		k.grants = append(k.grants, grant)
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return wrong
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (g Grant) parse(path string) (secret.Grant, error) {
	var wrong []error
	if len(g.Actions) == 0 {
		wrong = append(wrong, errors.New(path+"actions: must name at least one"))
	}
	for _, a := range g.Actions {
		if !slices.Contains(secret.Actions(), a) {
			wrong = append(wrong, errors.New(path+"actions: must be some of list, create, write, delete, reveal, admin"))
		}
	}
	owner, ok := parseOwner(g.Owner)
	if !ok {
		wrong = append(wrong, errors.New(path+"owner: must be user/<id>, app/<uuid> or app/*"))
	}
	for _, name := range g.Names {
		if err := secret.CheckName(name); err != nil {
			wrong = append(wrong, fmt.Errorf("%snames: %w", path, err))
		}
	}
	return secret.Grant{Actions: g.Actions, Owner: owner, Names: g.Names, Deny: g.Deny, Until: g.Until}, errors.Join(wrong...)
}

func parseOwner(s string) (secret.Owner, bool) {
	kind, id, _ := strings.Cut(s, "/")
	switch {
	case kind == secret.KindUser && id != "" && id != secret.AnyID:
		return secret.User(id), true
	case kind == secret.KindApp && (id == secret.AnyID || uuid.MatchString(id)):
		return secret.App(id), true
	}
	return secret.Owner{}, false
}
