package apikey

import (
	"errors"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

// Keys is a keys file in YAML. It has the hashes of API keys, not the keys.
//
//	keys:
//	  - id: k3x7q2mf
//	    sha256: 6c00846704e199eba093cc8d907f2ddb367169922ef174d0d5804379dbddb44d
//	    subject: alice
//	    user: alice
//	    grants:
//	      - {actions: [list, create, write, delete], owner: user/alice}
//	      - {actions: [list], owner: app/*}
type Keys struct {
	Keys []Key `yaml:"keys"`
}

// A Key is the entry of one API key in a keys file.
type Key struct {
	// ID names the key in the audit log. It is not a secret.
	ID string `yaml:"id"`
	// SHA256 of the key: 64 hexadecimal digits.
	SHA256 Hash `yaml:"sha256"`
	// Subject is the holder of the key, for the audit log.
	Subject string `yaml:"subject"`
	// User is the owner of the custom secrets that the key is for. Several keys can
	// name the same user, so that replacing a key loses nothing.
	User string `yaml:"user,omitempty"`
	// Until is the time at which the key expires. Without it the key never expires.
	Until time.Time `yaml:"until,omitempty"`
	// Grants are the rights of its holder. Without a grant there are none.
	Grants []grant.Line `yaml:"grants,omitempty"`

	grants []secret.Grant
}

// over reports whether the key has expired.
func (k *Key) over(now time.Time) bool { return !k.Until.IsZero() && !now.Before(k.Until) }

// DefaultUser is the user of keys without a user.
const DefaultUser = "default"

// ParseKeys parses a keys file. The name is used in the sources of grants. The error
// lists all errors with their paths. A file without keys is an error.
func ParseKeys(name string, file []byte) ([]Key, error) {
	var f Keys
	if err := strictyaml.DecodeFile(file, &f); err != nil {
		return nil, err
	}
	lines := strictyaml.Lines(file)
	source := func(path string) string { return fmt.Sprintf("%s:%d", name, lines[path]) }
	if len(f.Keys) == 0 {
		return nil, errors.New("keys: must hold at least one key")
	}
	var wrong []error
	seenIDs, seenHashes := map[string]bool{}, map[Hash]bool{}
	for i := range f.Keys {
		k := &f.Keys[i]
		path := fmt.Sprintf("keys[%d].", i)
		wrong = append(wrong, k.check(path, source)...)
		if seenIDs[k.ID] {
			wrong = append(wrong, errors.New(path+"id: another key has the same id"))
		}
		if seenHashes[k.SHA256] {
			wrong = append(wrong, errors.New(path+"sha256: another key has the same hash"))
		}
		seenIDs[k.ID], seenHashes[k.SHA256] = true, true
	}
	return f.Keys, strictyaml.WithLines(file, errors.Join(wrong...))
}

func (k *Key) check(path string, source func(path string) string) (wrong []error) {
	bad := func(is bool, what string) {
		if is {
			wrong = append(wrong, errors.New(path+what))
		}
	}
	bad(k.ID == "", "id: must be set")
	bad(k.SHA256 == Hash{}, "sha256: must be set")
	bad(k.SHA256 == HashOf(""), "sha256: is the hash of an empty key")
	bad(k.Subject == "", "subject: must be set")
	bad(k.User == secret.AnyID, "user: must be one, not *")
	if k.User == "" {
		k.User = DefaultUser
	}
	grants, err := grant.Parse(k.Grants, path+"grants", source)
	if err != nil {
		wrong = append(wrong, err)
	}
	k.grants = grant.For(k.User, grants)
	return wrong
}
