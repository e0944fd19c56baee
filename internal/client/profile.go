package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v4"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

// DefaultProfile is the name of the profile that login writes without a name.
const DefaultProfile = "default"

// Profiles is the client's config. It holds no secrets:
//
//	profile: work
//	profiles:
//	  work: {url: https://strongroom.example, user: alice}
//	aliases:
//	  shop: app/0f8fad5b-d9cb-469f-a165-70867728950e
type Profiles struct {
	// Current is the profile that commands use without --profile.
	Current string `yaml:"profile,omitempty"`
	// All has the profiles by name.
	All map[string]Profile `yaml:"profiles,omitempty"`
	// Aliases are short names for apps.
	Aliases map[string]string `yaml:"aliases,omitempty"`

	path string
}

// A Profile is a server and what to use there by default.
type Profile struct {
	// URL is the address of the server.
	URL string `yaml:"url"`
	// CAFile holds PEM certificates to trust instead of the system's.
	CAFile string `yaml:"ca_file,omitempty"`
	// User is the id of the user whom the credential is for, so that user/<id> finds this profile.
	User string `yaml:"user,omitempty"`
	// Target is the owner that commands use without one, "me" by default.
	Target string `yaml:"target,omitempty"`
	// SignIn is the identity provider at which strongroom login has signed the user in.
	SignIn *SignIn `yaml:"sign_in,omitempty"`
}

// Dir returns the directory of the client's config: $XDG_CONFIG_HOME/strongroom or ~/.config/strongroom.
func Dir() (string, error) {
	base, err := os.UserConfigDir()
	return filepath.Join(base, "strongroom"), err
}

// LoadProfiles reads the client's config. Without a file it is empty.
func LoadProfiles(dir string) (*Profiles, error) {
	p := &Profiles{path: filepath.Join(dir, "client.yaml")}
	text, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(text) > 0 {
		if err := strictyaml.DecodeFile(text, p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
	}
	if p.All == nil {
		p.All = map[string]Profile{}
	}
	if p.Aliases == nil {
		p.Aliases = map[string]string{}
	}
	return p, p.check()
}

func (p *Profiles) check() error {
	for name, profile := range p.All {
		if _, err := CheckURL(profile.URL); err != nil {
			return fmt.Errorf("%s: profiles.%s.url: %w", p.path, name, err)
		}
	}
	for name, owner := range p.Aliases {
		if _, err := parseApp(owner); err != nil || !aliasName.MatchString(name) {
			return fmt.Errorf("%s: aliases.%s: must be a short name for app/<uuid>", p.path, name)
		}
	}
	return nil
}

var aliasName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// CheckName returns an error unless a profile or an alias can have this name.
func CheckName(name string) error {
	if !aliasName.MatchString(name) || name == "me" {
		return errors.New("a profile or an alias is named with a letter, then letters, digits, - and _, and not me")
	}
	return nil
}

// Save writes the client's config.
func (p *Profiles) Save() error {
	if err := p.check(); err != nil {
		return err
	}
	text, err := yaml.Dump(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	return safefile.Replace(p.path, 0o600, text)
}

// A Target is an owner on the server of a profile. The owner of "me" is a user without an id.
type Target struct {
	Profile string // empty for the current one
	Owner   secret.Owner
}

// ParseTarget reads [PROFILE:]OWNER, where OWNER is me, user/<id>, app/<uuid> or an alias. Without text it is
// me.
func (p *Profiles) ParseTarget(text string) (Target, error) {
	var t Target
	owner := text
	if profile, rest, found := strings.Cut(text, ":"); found {
		if _, known := p.All[profile]; !known {
			return t, fmt.Errorf("there is no profile %q: %s", profile, p.known())
		}
		t.Profile, owner = profile, rest
	}
	id, isUser := strings.CutPrefix(owner, "user/")
	switch alias, isAlias := p.Aliases[owner]; {
	case owner == "me" || owner == "":
		t.Owner = secret.User("")
		return t, nil
	case isUser && id != "":
		return p.userTarget(t, id)
	case isAlias:
		owner = alias
	}
	var err error
	if t.Owner, err = parseApp(owner); err != nil {
		return t, fmt.Errorf("%q is no owner: want me, user/<id>, app/<uuid> or an alias (%s)", text, cmp.Or(strings.Join(slices.Sorted(maps.Keys(p.Aliases)), ", "), "there is none"))
	}
	return t, nil
}

// userTarget is the target user/<id>. A profile that it names must be of that user.
func (p *Profiles) userTarget(t Target, id string) (Target, error) {
	t.Owner = secret.User(id)
	if t.Profile == "" {
		return t, nil
	}
	_, err := p.ofUser(id, t.Profile)
	return t, err
}

// ofUser returns the profile of a user, because the server knows the user by the credential only. A chosen
// profile must be of that user; without one, the current profile goes first.
func (p *Profiles) ofUser(id, chosen string) (string, error) {
	if chosen != "" {
		if p.All[chosen].User != id {
			return "", fmt.Errorf("the profile %s is not of user/%s", chosen, id)
		}
		return chosen, nil
	}
	for _, name := range append([]string{cmp.Or(p.Current, DefaultProfile)}, p.Names()...) {
		if p.All[name].User == id {
			return name, nil
		}
	}
	return "", fmt.Errorf("no profile is of user/%s: log in with strongroom login URL --user %[1]s --profile NAME", id)
}

func (p *Profiles) known() string {
	if len(p.All) == 0 {
		return "log in first, with strongroom login URL"
	}
	return "there are " + strings.Join(slices.Sorted(maps.Keys(p.All)), ", ")
}

func parseApp(text string) (secret.Owner, error) {
	id, ok := strings.CutPrefix(text, "app/")
	if _, err := uuid.Parse(id); !ok || err != nil {
		return secret.Owner{}, errors.New("must be app/<uuid>")
	}
	return secret.App(id), nil
}

// Find returns the profile of this name, the current one without a name.
func (p *Profiles) Find(name string) (string, Profile, error) {
	name = cmp.Or(name, p.Current, DefaultProfile)
	profile, ok := p.All[name]
	if !ok {
		return name, profile, fmt.Errorf("there is no profile %q: %s", name, p.known())
	}
	return name, profile, nil
}

// Names returns the names of the profiles, sorted.
func (p *Profiles) Names() []string { return slices.Sorted(maps.Keys(p.All)) }

// AliasNames returns the aliases, sorted.
func (p *Profiles) AliasNames() []string { return slices.Sorted(maps.Keys(p.Aliases)) }
