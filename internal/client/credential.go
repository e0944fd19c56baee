package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/strongroom/strongroom/internal/client/signin"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Credential authenticates requests. API keys of the two kinds of secrets may differ; a
// token is for both.
type Credential struct {
	Server    string       // the URL that it is for: it is sent nowhere else
	Custom    secret.Value // API key for custom secrets
	App       secret.Value // API key for app secrets
	Token     secret.Value // bearer token
	TokenFile string       // file with a bearer token that another program renews
	Refresh   secret.Value // refresh token of the identity provider
	Expires   time.Time    // of Token; zero if unknown
	SignIn    SignIn       // at the identity provider that gave Token
	Endpoints signin.Endpoints
	CopyKey   secret.Value // random, made with a sign-in: see Fallback
}

// The headers of the published documents.
const (
	customHeader = "X-Session-API-Key"
	appHeader    = "Authorization-PSK"
)

// header returns the header for a kind of owner.
func (c Credential) header(kind string) (name, value string, err error) {
	switch key := c.keyFor(kind); {
	case key != "":
		if kind == secret.KindApp {
			return appHeader, string(key), nil
		}
		return customHeader, string(key), nil
	case c.TokenFile != "":
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return "", "", err
		}
		return "Authorization", "Bearer " + strings.TrimSpace(string(text)), nil
	case c.Token != "":
		return "Authorization", "Bearer " + string(c.Token), nil
	}
	return "", "", fmt.Errorf("there is no credential for the secrets of %ss: add one with strongroom login", kind)
}

func (c Credential) keyFor(kind string) secret.Value {
	if kind == secret.KindApp {
		return c.App
	}
	return c.Custom
}

// kept is a credential as it is stored, with its values in clear.
type kept struct {
	Server    string    `json:"server"`
	Custom    string    `json:"custom,omitempty"`
	App       string    `json:"app,omitempty"`
	Token     string    `json:"token,omitempty"`
	Refresh   string    `json:"refresh,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Issuer    string    `json:"issuer,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	TokenURL  string    `json:"token_url,omitempty"`
	RevokeURL string    `json:"revoke_url,omitempty"`
	CopyKey   string    `json:"copy_key,omitempty"`
}

func (c Credential) kept() kept {
	return kept{
		c.Server, string(c.Custom), string(c.App), string(c.Token), string(c.Refresh), c.Expires, c.SignIn.Issuer, c.SignIn.ClientID,
		c.Endpoints.Token, c.Endpoints.Revoke, string(c.CopyKey),
	}
}

func (k kept) credential() Credential {
	return Credential{
		Server: k.Server, Custom: secret.Value(k.Custom), App: secret.Value(k.App), Token: secret.Value(k.Token),
		Refresh: secret.Value(k.Refresh), Expires: k.Expires, SignIn: SignIn{Issuer: k.Issuer, ClientID: k.ClientID},
		Endpoints: signin.Endpoints{Token: k.TokenURL, Revoke: k.RevokeURL}, CopyKey: secret.Value(k.CopyKey),
	}
}

// A Keeper stores credentials by profile: in the system keyring where there is one, else in a file that only
// the user can read.
type Keeper struct {
	file    string
	keyring bool
}

// keyringService is the name under which the system keyring shows the credentials.
const keyringService = "strongroom"

// NewKeeper returns the keeper for the directory of the client's config.
func NewKeeper(dir string) *Keeper {
	return &Keeper{filepath.Join(dir, "credentials.json"), hasKeyring()}
}

// hasKeyring reports whether there is a session bus, on which a desktop has its keyring. Without this check,
// the library would start a bus.
func hasKeyring() bool { return os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" }

// Save stores a credential, and returns the place for people to read.
func (k *Keeper) Save(profile string, c Credential) (place string, err error) {
	if k.keyring {
		text, err := json.Marshal(c.kept())
		if err != nil {
			return "", err
		}
		if keyring.Set(keyringService, profile, string(text)) == nil {
			_, err = k.removeFromFile(profile)
			return "the system keyring", err
		}
	}
	all, err := k.read()
	if err != nil {
		return "", err
	}
	all[profile] = c.kept()
	return k.file, k.write(all)
}

// Load returns the credential of a profile. It is empty if there is none.
func (k *Keeper) Load(profile string) (Credential, error) {
	if k.keyring {
		var c kept
		if text, err := keyring.Get(keyringService, profile); err == nil && json.Unmarshal([]byte(text), &c) == nil {
			return c.credential(), nil
		}
	}
	all, err := k.read()
	return all[profile].credential(), err
}

// Remove forgets the credential of a profile, and reports whether there was one.
func (k *Keeper) Remove(profile string) (bool, error) {
	inKeyring := k.keyring && keyring.Delete(keyringService, profile) == nil
	inFile, err := k.removeFromFile(profile)
	return inKeyring || inFile, err
}

func (k *Keeper) removeFromFile(profile string) (bool, error) {
	all, err := k.read()
	if _, there := all[profile]; err != nil || !there {
		return false, err
	}
	delete(all, profile)
	return true, k.write(all)
}

func (k *Keeper) read() (map[string]kept, error) {
	all := map[string]kept{}
	info, err := os.Stat(k.file)
	if errors.Is(err, os.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("other users can read %s: chmod 600 it", k.file)
	}
	text, err := os.ReadFile(k.file)
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(text, &all) != nil {
		return nil, fmt.Errorf("%s is damaged: remove it and log in again", k.file)
	}
	return all, nil
}

func (k *Keeper) write(all map[string]kept) error {
	if len(all) == 0 {
		return safefile.Remove(k.file)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return err
	}
	return safefile.Replace(k.file, 0o600, append(text, '\n'))
}

// Kind describes the credential for people, without any of it.
func (c Credential) Kind() string {
	switch {
	case c.TokenFile != "":
		return "the token in " + c.TokenFile
	case c.Custom != "" && c.App != "" && c.Custom != c.App:
		return "two API keys, for custom and for app secrets"
	case c.Custom != "" && c.App != "":
		return "an API key for custom and app secrets"
	case c.Custom != "":
		return "an API key for custom secrets"
	case c.App != "":
		return "an API key for app secrets"
	case c.Token != "":
		return "a sign-in at " + c.SignIn.Issuer
	}
	return "nothing"
}
