package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/secret"
)

func loginCommand() *cobra.Command {
	var key valueSource
	var p client.Profile
	var at signInFlags
	c := remoteCommand("login URL", "Sign in to a server, or store an API key for it", cobra.ExactArgs(1), func(ctx context.Context, r *remote, args []string) (err error) {
		if p.URL, err = client.CheckURL(args[0]); err != nil {
			return err
		}
		if key.file == "" && !key.stdin {
			provider, err := r.chooseProvider(ctx, p, at)
			if err != nil {
				return err
			}
			if provider != nil {
				return r.signIn(ctx, p, *provider, at.device)
			}
		}
		value, err := key.read(r, "API key: ")
		if err != nil {
			return err
		}
		return r.login(ctx, p, value)
	})
	c.Long = `Sign in at the server's identity provider, or store an API key. The credential is kept in the system keyring where there is one, else
in a file that only you can read (~/.config/strongroom/credentials.json).

A server can publish an identity provider (auth.*.oidc.command_line in its config). Then login opens your browser, and the provider sends
it back to this command on 127.0.0.1. Where there is no browser, or with --device, open the shown address on any device and
type the code. Tokens are renewed as long as the provider allows. With --issuer and --client-id the server need not
publish anything.

Otherwise login asks for an API key, as with --api-key, and takes it from a prompt, --stdin or --file, never from
an argument. A server can accept a key for custom secrets (OpenHands), for app secrets (Nx1), or for both. Login asks the server, and stores
the key for all that accept it. With a second key for the other kind, log in a second time.

Jobs need no login: they set STRONGROOM_URL and one of STRONGROOM_API_KEY, STRONGROOM_API_KEY_FILE (a file with the key) and
STRONGROOM_TOKEN_FILE, a file with a bearer token that is read again for each request, such as a Kubernetes service account's.`
	c.Example = `  strongroom login https://strongroom.example
  strongroom login https://strongroom.example --device
  strongroom login https://strongroom.example --profile work --user alice --stdin`
	key.flags(c, "the API key")
	at.flags(c)
	c.Flags().StringVar(&p.User, "user", "", "`id` of the user that the credential is for, so that user/<id> finds this profile")
	c.Flags().StringVar(&p.Target, "target", "", "`owner` for commands that are given none (default me)")
	c.Flags().StringVar(&p.CAFile, "ca-file", "", "`file` with certificates to trust instead of the system's")
	for _, flag := range []string{"api-key", "device", "issuer", "client-id", "scope"} {
		for _, other := range []string{"stdin", "file", "api-key"} {
			if flag != other {
				c.MarkFlagsMutuallyExclusive(flag, other)
			}
		}
	}
	return c
}

// login asks the server which secrets the key is for, then stores it.
func (r *remote) login(ctx context.Context, p client.Profile, key secret.Value) error {
	name, err := r.newProfileName()
	if err != nil {
		return err
	}
	accepted, err := client.Probe(ctx, client.Server{
		URL: p.URL, CAFile: p.CAFile, Agent: r.Agent, Credential: client.Credential{Server: p.URL, Custom: key, App: key},
	})
	if err != nil {
		return err
	}
	if len(accepted) == 0 {
		return errors.New("the server accepts this API key for no secrets: check the key and the URL")
	}
	return r.keep(name, p, accepted, func(c client.Credential) client.Credential {
		if c.Server != p.URL || c.Token != "" {
			c = client.Credential{Server: p.URL}
		}
		for _, kind := range accepted {
			if kind == secret.KindApp {
				c.App = key
			} else {
				c.Custom = key
			}
		}
		return c
	})
}

// newProfileName returns the name of the profile that login writes.
func (r *remote) newProfileName() (string, error) {
	name := cmp.Or(r.Profile, client.DefaultProfile)
	return name, client.CheckName(name)
}

// keep stores the profile and its credential, which change returns for the stored one.
func (r *remote) keep(name string, p client.Profile, accepted []string, change func(client.Credential) client.Credential) error {
	unlock, err := r.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	old := r.Profiles.All[name]
	if old.URL == p.URL { // a second login adds to the first
		p.User, p.Target, p.CAFile, p.SignIn = cmp.Or(p.User, old.User), cmp.Or(p.Target, old.Target), cmp.Or(p.CAFile, old.CAFile), cmp.Or(p.SignIn, old.SignIn)
	}
	r.Profiles.All[name], r.Profiles.Current = p, name
	if p.Target != "" {
		if _, err := r.Profiles.ParseTarget(p.Target); err != nil {
			return err
		}
	}
	stored, err := r.Keeper.Load(name)
	if err != nil {
		return err
	}
	place, err := r.Keeper.Save(name, change(stored))
	if err != nil {
		return err
	}
	if err := r.Profiles.Save(); err != nil {
		return err
	}
	for _, kind := range accepted {
		r.note("logged in for %s secrets at %s (profile %s, credential in %s)", secretsOf[kind], p.URL, name, place)
	}
	return nil
}

// secretsOf names the kinds of secrets.
var secretsOf = map[string]string{secret.KindUser: "custom", secret.KindApp: "app"}

func logoutCommand() *cobra.Command {
	c := remoteCommand("logout", "Delete the stored credential of a profile", noArgs, func(ctx context.Context, r *remote, _ []string) error {
		name, profile, err := r.Profiles.Find(r.Profile)
		if err != nil {
			return err
		}
		unlock, err := r.Keeper.Lock() // otherwise a renewal could store the credential again
		if err != nil {
			return err
		}
		defer unlock()
		var copies error
		if c, err := r.Keeper.Load(name); err == nil {
			if err := client.Revoke(ctx, c, profile.CAFile); err != nil {
				r.note("the tokens could not be revoked at %s, and stay valid there until they expire: %s", c.SignIn.Issuer, printable(err.Error()))
			}
			copies = client.ForgetCopies(c)
		}
		removed, err := r.Keeper.Remove(name)
		if err == nil && !removed {
			err = errors.New("the profile " + name + " has no credential")
		}
		return errors.Join(copies, err)
	})
	c.Long = `Delete the stored credential of a profile on this machine, and the copies of run --fallback. After a sign-in, the identity provider is told to end it, if it can. A server still
accepts an API key: strongroom apikey revoke, on the server, ends it. It accepts an access token until that expires.`
	c.Example = `  strongroom logout
  strongroom logout --profile work`
	return c
}

func whoamiCommand() *cobra.Command {
	c := remoteCommand("whoami", "Show the server, the credential and the secrets it may list", noArgs, whoami)
	outputFlag(c)
	c.Long = `Show the profile, the server, the kind of credential, and for you and for each alias whether the server lets
this credential list secrets. The published APIs show no other rights: on the server, strongroom explain does.`
	c.Example = `  strongroom whoami
  strongroom whoami -o json`
	return c
}

// A standing is the caller's access to one owner.
type standing struct {
	Owner   string `json:"owner"`
	Secrets int    `json:"secrets"`
	Refusal string `json:"refusal,omitempty"`
}

func whoami(ctx context.Context, r *remote, _ []string) error {
	server, err := r.Server("")
	if err != nil {
		return err
	}
	report := struct {
		URL        string     `json:"url"`
		Credential string     `json:"credential"`
		Owners     []standing `json:"owners"`
	}{server.URL, server.Credential.Kind(), nil}
	for _, owner := range append([]string{"me"}, r.Profiles.AliasNames()...) {
		one := standing{Owner: owner}
		s, _, err := r.open(owner)
		if err == nil {
			var entries []client.Entry
			entries, err = s.List(ctx)
			one.Secrets = len(entries)
		}
		if err != nil {
			one.Refusal = err.Error()
		}
		report.Owners = append(report.Owners, one)
	}
	return r.print(report, func() error {
		if err := r.printf("%s, with %s\n", report.URL, report.Credential); err != nil {
			return err
		}
		return writeTable(r.out.OutOrStdout(), "OWNER|SECRETS|REFUSAL", report.Owners, func(s standing) []string {
			return []string{s.Owner, count(s), s.Refusal}
		})
	})
}

func count(s standing) string {
	if s.Refusal != "" {
		return "-"
	}
	return itoa(s.Secrets)
}
