package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

// The environment variables of the client. They are for jobs without a login, and never reach a child process.
const (
	EnvURL       = "STRONGROOM_URL"
	EnvAPIKey    = "STRONGROOM_API_KEY" // #nosec G101 -- the name of a variable
	EnvKeyFile   = "STRONGROOM_API_KEY_FILE"
	EnvTokenFile = "STRONGROOM_TOKEN_FILE"
	EnvCAFile    = "STRONGROOM_CA_FILE"
	EnvProfile   = "STRONGROOM_PROFILE"
	EnvTarget    = "STRONGROOM_TARGET"
)

// A Session is the config, the stored credentials and the environment of one command.
type Session struct {
	Profiles *Profiles
	Keeper   *Keeper
	Agent    string // User-Agent of the requests
	Profile  string // from --profile; may be empty
}

// NewSession reads the client's config.
func NewSession(agent string) (*Session, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	profiles, err := LoadProfiles(dir)
	return &Session{Profiles: profiles, Keeper: NewKeeper(dir), Agent: agent}, err
}

// Lock takes the lock of the [Keeper] and reads the profiles again. A caller takes it before it changes and
// saves the profiles. Otherwise it would undo the changes of other processes.
func (s *Session) Lock() (unlock func(), err error) {
	if unlock, err = s.Keeper.Lock(); err != nil {
		return nil, err
	}
	profiles, err := LoadProfiles(filepath.Dir(s.Profiles.path))
	if err != nil {
		unlock()
		return nil, err
	}
	s.Profiles = profiles
	return unlock, nil
}

// Target reads the owner that a command works on. Without one it is that of the environment, else of the
// profile, else me.
func (s *Session) Target(text string) (Target, error) {
	if text == "" {
		text = os.Getenv(EnvTarget)
	}
	if text == "" && !s.byEnvironment("") {
		_, profile, err := s.Profiles.Find(s.profileName(""))
		if err == nil {
			text = profile.Target
		}
	}
	t, err := s.Profiles.ParseTarget(text)
	if err != nil || t.Profile != "" || t.Owner.Kind == secret.KindApp || t.Owner.ID == "" {
		return t, err
	}
	if s.byEnvironment("") {
		return t, fmt.Errorf("%s: the server of %s knows its user by the credential only: use me", text, EnvURL)
	}
	t.Profile, err = s.Profiles.ofUser(t.Owner.ID, s.profileName(""))
	return t, err
}

// byEnvironment reports whether the environment names the server, and neither the target nor --profile does.
func (s *Session) byEnvironment(ofTarget string) bool {
	return ofTarget == "" && s.Profile == "" && os.Getenv(EnvURL) != ""
}

// profileName returns the name of the profile to use, empty for the current one.
func (s *Session) profileName(ofTarget string) string {
	return cmp.Or(ofTarget, s.Profile, os.Getenv(EnvProfile))
}

// Server returns the server of a profile, with its credential. A profile that is named by a target or by
// --profile uses its stored credential; otherwise the environment goes first, so that a job needs no profile.
func (s *Session) Server(profileName string) (Server, error) {
	server := Server{Agent: s.Agent, URL: os.Getenv(EnvURL), CAFile: os.Getenv(EnvCAFile)}
	named := profileName != "" || s.Profile != ""
	if s.byEnvironment(profileName) {
		c, ok, err := credentialOfEnvironment(server.URL)
		if err == nil && !ok {
			err = fmt.Errorf("%s is set without a credential: set %s, %s or %s", EnvURL, EnvAPIKey, EnvKeyFile, EnvTokenFile)
		}
		server.Credential = c
		return server, err
	}
	name, profile, err := s.Profiles.Find(s.profileName(profileName))
	if err != nil {
		return server, err
	}
	server.URL, server.CAFile = profile.URL, cmp.Or(profile.CAFile, server.CAFile)
	if !named {
		c, ok, err := credentialOfEnvironment(profile.URL)
		if err != nil || ok {
			server.Credential = c
			return server, err
		}
	}
	server.Credential, err = s.stored(name, profile.URL)
	if server.Credential.Refresh != "" {
		server.Renew = func(ctx context.Context) (Credential, error) { return s.renew(ctx, name, profile) }
	}
	return server, err
}

// credentialOfEnvironment returns the credential in the environment, if there is one.
func credentialOfEnvironment(url string) (c Credential, ok bool, err error) {
	key, keyFile, tokenFile := secret.Value(os.Getenv(EnvAPIKey)), os.Getenv(EnvKeyFile), os.Getenv(EnvTokenFile)
	switch {
	case key != "" && (keyFile != "" || tokenFile != "") || keyFile != "" && tokenFile != "":
		return c, false, fmt.Errorf("set only one of %s, %s and %s", EnvAPIKey, EnvKeyFile, EnvTokenFile)
	case keyFile != "":
		text, err := os.ReadFile(keyFile)
		if err != nil {
			return c, false, err
		}
		key = secret.Value(strings.TrimSpace(string(text)))
	}
	return Credential{Server: url, Custom: key, App: key, TokenFile: tokenFile}, key != "" || tokenFile != "", nil
}

func (s *Session) stored(profile, url string) (Credential, error) {
	c, err := s.Keeper.Load(profile)
	switch {
	case err != nil:
		return c, err
	case c.Server == "":
		return c, errors.New("not logged in: strongroom login " + url)
	case c.Server != url:
		return c, fmt.Errorf("the credential of profile %s is for another server: strongroom login %s --profile %[1]s", profile, url)
	case c.Refresh == "" && c.Token != "" && c.expired():
		return c, fmt.Errorf("the sign-in has expired: strongroom login %s", url)
	}
	return c, nil
}

// Open returns the secrets of a target.
func (s *Session) Open(t Target) (Secrets, error) {
	c, err := s.client(t)
	if err != nil {
		return nil, err
	}
	return c.Secrets(t.Owner)
}

// client returns a client of the server of a target.
func (s *Session) client(t Target) (*Client, error) {
	server, err := s.Server(t.Profile)
	if err != nil {
		return nil, err
	}
	return New(server)
}
