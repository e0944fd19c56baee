package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/client/signin"
)

// signInTime is how long login waits for a person at a browser.
const signInTime = 10 * time.Minute

// signInFlags choose how login gets a credential.
type signInFlags struct {
	apiKey, device bool
	issuer, client string
	scopes         []string
}

func (s *signInFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.apiKey, "api-key", false, "ask for an API key, even if the server has an identity provider")
	f.BoolVar(&s.device, "device", false, "sign in with a code on any device instead of with a browser here")
	f.StringVar(&s.issuer, "issuer", "", "`URL` of the identity provider (default: the one that the server publishes)")
	f.StringVar(&s.client, "client-id", "", "`id` of this program at the identity provider")
	f.StringArrayVar(&s.scopes, "scope", nil, "`scope` to ask for; can be repeated")
}

// chooseProvider returns the identity provider to sign in at; nil to ask for an API key.
func (r *remote) chooseProvider(ctx context.Context, p client.Profile, f signInFlags) (*client.SignIn, error) {
	switch {
	case f.apiKey:
		return nil, nil
	case f.client != "" && f.issuer == "":
		return nil, errors.New("--client-id: needs --issuer, too")
	case f.client != "":
		return &client.SignIn{Issuer: f.issuer, ClientID: f.client, Scopes: f.scopes}, nil
	}
	published, err := client.SignIns(ctx, client.Server{URL: p.URL, CAFile: p.CAFile, Agent: r.Agent})
	if err != nil {
		return nil, err
	}
	var issuers []string
	for _, s := range published {
		if s.Issuer == f.issuer || f.issuer == "" && len(published) == 1 {
			if len(f.scopes) > 0 {
				s.Scopes = f.scopes
			}
			return &s, r.checkSignIn(p, s, f)
		}
		issuers = append(issuers, s.Issuer)
	}
	switch {
	case f.issuer != "":
		return nil, fmt.Errorf("the server does not publish the issuer %s: add --client-id", f.issuer)
	case len(issuers) > 0:
		return nil, fmt.Errorf("choose an identity provider with --issuer: %s", strings.Join(issuers, ", "))
	case f.device || len(f.scopes) > 0:
		return nil, errors.New("the server publishes no identity provider: give --issuer and --client-id, or use an API key")
	}
	return nil, nil
}

// checkSignIn refuses another issuer, another client or more scopes than at the last login, unless the user
// has named them: a server that was taken over could send its users to a page that asks for their passwords,
// or obtain tokens that are good elsewhere.
func (r *remote) checkSignIn(p client.Profile, s client.SignIn, f signInFlags) error {
	name, err := r.newProfileName()
	if err != nil {
		return err
	}
	profile := r.Profiles.All[name]
	if profile.URL != p.URL || profile.SignIn == nil {
		return nil
	}
	old := profile.SignIn
	switch {
	case old.Issuer != s.Issuer && f.issuer == "":
		return fmt.Errorf("the server names another identity provider than at the last login: %s, then %s. If that is right, add --issuer %[1]s", s.Issuer, old.Issuer)
	case old.Issuer != s.Issuer:
		return nil // the user has named the provider, and its clients are others
	case old.ClientID != s.ClientID:
		return fmt.Errorf("the server names another client at the identity provider than at the last login: %s, then %s. If that is right, add --issuer and --client-id", s.ClientID, old.ClientID)
	}
	more := slices.DeleteFunc(slices.Clone(s.Scopes), func(scope string) bool {
		return slices.Contains(old.Scopes, scope) || slices.Contains(signin.DefaultScopes, scope)
	})
	if len(more) > 0 && len(f.scopes) == 0 {
		return fmt.Errorf("the server asks for more scopes than at the last login: %s. If that is right, name all of them with --scope", strings.Join(more, ", "))
	}
	return nil
}

// signIn signs the user in at the provider, and stores the tokens.
func (r *remote) signIn(ctx context.Context, p client.Profile, at client.SignIn, device bool) error {
	name, err := r.newProfileName()
	if err != nil {
		return err
	}
	provider, err := client.DiscoverProvider(ctx, at, p.CAFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, signInTime, fmt.Errorf("no answer within %v", signInTime))
	defer cancel()
	r.note("%s asks you to sign in at %s as the client %s.", p.URL, printable(at.Issuer), printable(at.ClientID))
	var tokens signin.Tokens
	if device || browser() == "" && provider.HasDevice() {
		tokens, err = provider.Device(ctx, r.showDeviceCode)
	} else {
		tokens, err = provider.Browser(ctx, r.openBrowser)
	}
	if err != nil {
		return err
	}
	credential, user := client.SignedIn(p.URL, at, provider, tokens)
	accepted, err := client.Probe(ctx, client.Server{URL: p.URL, CAFile: p.CAFile, Agent: r.Agent, Credential: credential})
	if err != nil {
		return err
	}
	if len(accepted) == 0 {
		return errors.New("the server does not accept the access token: on the server, compare audience, clients and token_types in its config with the token")
	}
	if p.User == "" {
		p.User = user
	}
	p.SignIn = &at
	return r.keep(name, p, accepted, func(client.Credential) client.Credential { return credential })
}

func (r *remote) showDeviceCode(d signin.DeviceCode) {
	r.note("On any device, open %s and type the code %s", printable(d.Address), printable(d.Code))
	if d.Complete != "" {
		r.note("or open %s", printable(d.Complete))
	}
	r.note("The code is good for %v.", time.Until(d.Expires).Round(time.Second))
}

// openBrowser shows the address as well, because opening it may fail.
func (r *remote) openBrowser(address string) {
	r.note("If your browser does not open, open this address on this machine:\n%s", printable(address))
	command := browser()
	if command == "" {
		return
	}
	cmd := exec.Command(command, address) // #nosec G204 -- the user's own browser
	cmd.Env = child.Env(os.Environ(), nil)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}

// browser returns the command that opens an address; empty if there is none.
func browser() string {
	if command := os.Getenv("BROWSER"); command != "" {
		return command
	}
	name := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		name = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return ""
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
