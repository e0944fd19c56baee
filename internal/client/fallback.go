package client

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/client/signin"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
)

// MaxFallback is the longest time that a copy can be used.
const MaxFallback = 30 * 24 * time.Hour

// clockLeeway is how far the clock may have gone back since a copy was made.
const clockLeeway = 5 * time.Minute

// A Fallback is a sealed copy of the last answer to one question: these values of this owner, of this server,
// to this credential. Its key is derived from the credential, so no other credential opens it. It is bound to
// the server, the owner and the selection by the place that it is sealed for.
type Fallback struct {
	dir   string // of the copies for this credential and server
	owner string // the beginning of the names of all copies for this owner
	path  string
	key   *seal.Key
	place []byte
	age   time.Duration
}

// copied is the text of a copy.
type copied struct {
	Made    time.Time       `json:"made"`
	Expires time.Time       `json:"expires"`
	Vars    []copiedVar     `json:"vars"`
	Secrets []copiedVersion `json:"secrets"`
}

type copiedVar struct {
	Secret  string `json:"secret"`
	DataKey string `json:"data_key"`
	Env     string `json:"env"`
	Value   []byte `json:"value"`
}

// A copiedVersion is a secret without its values, for --watch.
type copiedVersion struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
}

// Fallback returns the copy for a target and a selection, which is at most this old when it is used.
func (s *Session) Fallback(t Target, sel Selection, age time.Duration) (*Fallback, error) {
	server, err := s.Server(t.Profile)
	if err != nil {
		return nil, err
	}
	if age <= 0 || age > MaxFallback {
		return nil, fmt.Errorf("--fallback: want a time of at most %d days", int(MaxFallback.Hours())/24)
	}
	key, err := server.Credential.copyKey(t.Owner.Kind)
	if err != nil {
		return nil, err
	}
	dir, err := copiesOf(key, server.URL)
	if err != nil {
		return nil, err
	}
	question, err := json.Marshal(sel)
	if err != nil {
		return nil, err
	}
	place := seal.Place("strongroom fallback v1", server.URL, t.Owner.Kind, t.Owner.ID, string(question))
	of := short(key.MAC([]byte("owner"), seal.Place(t.Owner.Kind, t.Owner.ID))) + "-"
	return &Fallback{dir, of, filepath.Join(dir, of+short(key.MAC([]byte("copy"), place))), key, place, age}, nil
}

func copiesOf(key *seal.Key, url string) (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "strongroom", "fallback", short(key.MAC([]byte("server"), []byte(url)))), err
}

func short(mac []byte) string { return hex.EncodeToString(mac[:16]) }

// copyKey returns the key of this credential's copies. That of a sign-in is random and kept with the tokens,
// which change.
func (c Credential) copyKey(kind string) (*seal.Key, error) {
	from := c.keyFor(kind)
	if from == "" && c.Token != "" {
		from = c.CopyKey
	}
	if from == "" {
		return nil, errors.New("--fallback: needs an API key or a sign-in, because its copy is sealed with them: a token in a file changes")
	}
	raw, err := hkdf.Key(sha256.New, []byte(from), nil, "strongroom fallback key v1", seal.KeyBytes)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	return seal.ParseKey(base64.StdEncoding.EncodeToString(raw))
}

// Keep replaces the copy by an answer of the server, and removes copies of any credential that are too old to
// be used.
func (f *Fallback) Keep(vars []envfile.Var, all []Secret) error {
	now := time.Now()
	c := copied{Made: now, Expires: now.Add(f.age)}
	for _, v := range vars {
		c.Vars = append(c.Vars, copiedVar{v.Secret, v.DataKey, v.Env, []byte(v.Value)})
	}
	for _, s := range all {
		c.Secrets = append(c.Secrets, copiedVersion{s.Name, s.Revision})
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	defer clear(text)
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	removeOld(filepath.Dir(f.dir), now)
	return safefile.Replace(f.path, 0o600, f.key.Seal(text, f.place))
}

func removeOld(dir string, now time.Time) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return // tidying is not worth an error
	}
	defer func() { _ = root.Close() }()
	_ = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // the rest is tidied
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > MaxFallback {
			_ = root.Remove(path)
		}
		return nil
	})
}

// Open returns the copy, and when it was made. An error says why it cannot be used.
func (f *Fallback) Open() (vars []envfile.Var, all []Secret, made time.Time, err error) {
	sealed, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, made, errors.New("there is no copy of these secrets for this credential and server")
	}
	if err != nil {
		return nil, nil, made, err
	}
	text, err := f.key.Open(sealed, f.place)
	if err != nil {
		return nil, nil, made, fmt.Errorf("the copy %s is damaged, or of other secrets", f.path)
	}
	defer clear(text)
	var c copied
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, nil, made, err
	}
	now := time.Now()
	switch {
	case !now.Before(c.Expires) || now.Sub(c.Made) > f.age:
		return nil, nil, made, fmt.Errorf("the copy of %s has expired", c.Made.Local().Format(time.DateTime))
	case c.Made.Sub(now) > clockLeeway:
		return nil, nil, made, errors.New("the copy was made in the future: set this machine's clock")
	}
	for _, v := range c.Vars {
		vars = append(vars, envfile.Var{Secret: v.Secret, DataKey: v.DataKey, Env: v.Env, Value: secret.Value(v.Value)})
	}
	for _, s := range c.Secrets {
		all = append(all, Secret{Name: s.Name, Revision: s.Revision})
	}
	return vars, all, c.Made, nil
}

// Refused removes the copies that must not be used after this error. If the server does not accept the
// credential, or the identity provider has ended the sign-in, it removes all copies for the credential. If the
// server forbids or lacks a secret, it removes all copies of the owner's secrets. Any other error says nothing
// about the secrets and removes nothing.
func (f *Fallback) Refused(err error) error {
	switch {
	case errors.Is(err, ErrCredential) || errors.Is(err, signin.ErrEnded):
		return os.RemoveAll(f.dir)
	case !errors.Is(err, secret.ErrForbidden) && !errors.Is(err, secret.ErrNotFound):
		return nil
	}
	entries, failed := os.ReadDir(f.dir)
	if errors.Is(failed, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), f.owner) {
			failed = errors.Join(failed, os.Remove(filepath.Join(f.dir, e.Name())))
		}
	}
	return failed
}

// IsAway reports whether the server, or a proxy before it, has not decided the request: it did not answer,
// redirects elsewhere, fails, or is too busy. It is also true if the identity provider did not answer when
// the token had to be renewed for the request.
func IsAway(err error) bool {
	if _, away := errors.AsType[*AwayError](err); away || errors.Is(err, signin.ErrAway) {
		return true
	}
	a, ok := errors.AsType[*AnswerError](err)
	return ok && (a.Status < http.StatusBadRequest || a.Status >= http.StatusInternalServerError || slices.Contains(undecided, a.Status))
}

// undecided are the statuses of client errors that ask for the same request again, later.
var undecided = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}

// ForgetCopies removes the copies for a credential.
func ForgetCopies(c Credential) error {
	var errs []error
	for _, kind := range []string{secret.KindUser, secret.KindApp} {
		key, err := c.copyKey(kind)
		if err != nil {
			continue // it has none
		}
		dir, err := copiesOf(key, c.Server)
		if err == nil {
			err = os.RemoveAll(dir)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
