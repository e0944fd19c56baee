package client

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/client/signin"
	"github.com/strongroom/strongroom/internal/secret"
)

// A SignIn is the identity provider of a server's users, and the client that this program is there.
type SignIn struct {
	// Issuer is the URL of the provider.
	Issuer string `yaml:"issuer" json:"issuer"`
	// ClientID is a public client at the provider, with the redirect address http://127.0.0.1/callback and
	// any port.
	ClientID string `yaml:"client_id" json:"client_id"`
	// Scopes to ask for. By default openid, and offline_access if the provider has it.
	Scopes []string `yaml:"scopes,omitempty" json:"scopes"`
	// UserClaim names the claim with the user whose custom secrets the token is for; empty if unknown.
	UserClaim string `yaml:"user_claim,omitempty" json:"user_claim"`
}

func (s SignIn) client() signin.Client {
	return signin.Client{Issuer: s.Issuer, ID: s.ClientID, Scopes: s.Scopes}
}

// signInPath is where a server publishes how to sign in:
//
//	{"sign_in": [{"issuer": "https://sso.example", "client_id": "strongroom", "scopes": ["openid"], "user_claim": "sub"}]}
const signInPath = "/.well-known/strongroom"

// maxDocument bounds that document, in bytes.
const maxDocument = 64 << 10

// SignIns returns the identity providers at which the users of a server can sign in, which it publishes
// without a credential. It is empty if the server publishes none.
func SignIns(ctx context.Context, server Server) ([]SignIn, error) {
	c, err := New(server)
	if err != nil {
		return nil, err
	}
	status, text, err := c.get(ctx, signInPath, maxDocument, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, nil // a server without sign-in, or an older one
	}
	var published struct {
		SignIn []SignIn `json:"sign_in"`
	}
	if json.Unmarshal(text, &published) != nil {
		return nil, errNotStrongroom
	}
	return slices.DeleteFunc(published.SignIn, func(s SignIn) bool { return s.Issuer == "" || s.ClientID == "" }), nil
}

// providerConnections returns connections to identity providers: they may have a certificate of the system's
// authorities or of the profile's file.
func providerConnections(caFile string) (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	return httpClient(pool, caFile)
}

func checkAddress(address string) error {
	_, err := CheckURL(address)
	return err
}

// DiscoverProvider reads the discovery document of the identity provider.
func DiscoverProvider(ctx context.Context, s SignIn, caFile string) (*signin.Provider, error) {
	connections, err := providerConnections(caFile)
	if err != nil {
		return nil, err
	}
	return signin.Discover(ctx, s.client(), connections, checkAddress)
}

// SignedIn returns the credential of a sign-in, and the user that it names; the user is empty if it names none.
func SignedIn(server string, s SignIn, p *signin.Provider, t signin.Tokens) (c Credential, user string) {
	user, _ = t.Claims[s.UserClaim].(string)
	return Credential{
		Server: server, Token: t.Access, Refresh: t.Refresh, Expires: t.Expires, SignIn: s, Endpoints: p.Endpoints(), CopyKey: secret.Value(rand.Text()),
	}, user
}

// A token is renewed so long before it expires that a request with it ends in time.
const renewBefore = 30 * time.Second

func (c Credential) ending() bool {
	return c.Token != "" && !c.Expires.IsZero() && time.Until(c.Expires) < renewBefore
}

func (c Credential) expired() bool { return !c.Expires.IsZero() && !time.Now().Before(c.Expires) }

// renew renews the token of a profile and stores it. Only one process does so at a time, because providers that
// replace the refresh token take a second use of it for a theft.
func (s *Session) renew(ctx context.Context, name string, p Profile) (Credential, error) {
	unlock, err := s.Keeper.Lock()
	if err != nil {
		return Credential{}, err
	}
	defer unlock()
	c, err := s.stored(name, p.URL)
	if err != nil || !c.ending() { // another process has renewed it
		return c, err
	}
	connections, err := providerConnections(p.CAFile)
	if err != nil {
		return c, err
	}
	fresh, err := signin.Renew(ctx, c.SignIn.client(), c.Endpoints, connections, c.Refresh)
	switch {
	case errors.Is(err, signin.ErrEnded):
		return c, fmt.Errorf("%w: strongroom login %s", err, p.URL)
	case err != nil && !c.expired(): // the provider is away, the token is still good
		return c, nil
	case err != nil:
		return c, err
	}
	c.Token, c.Expires = fresh.Access, fresh.Expires
	if fresh.Refresh != "" {
		c.Refresh = fresh.Refresh
	}
	_, err = s.Keeper.Save(name, c)
	return c, err
}

// Lock waits until no other process renews a token or changes credentials or profiles. A caller takes it
// before it loads a credential that it then changes with [Keeper.Save] or [Keeper.Remove].
func (k *Keeper) Lock() (unlock func(), err error) {
	dir := filepath.Dir(k.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "credentials.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// Revoke makes the identity provider forget the tokens of a sign-in. Without a sign-in, or if the provider
// has no such operation, it does nothing.
func Revoke(ctx context.Context, c Credential, caFile string) error {
	if c.Token == "" || c.Endpoints.Revoke == "" {
		return nil
	}
	connections, err := providerConnections(caFile)
	if err != nil {
		return err
	}
	if c.Refresh != "" {
		err = signin.Revoke(ctx, c.SignIn.client(), c.Endpoints, connections, c.Refresh, "refresh_token")
	}
	return errors.Join(err, signin.Revoke(ctx, c.SignIn.client(), c.Endpoints, connections, c.Token, "access_token"))
}
