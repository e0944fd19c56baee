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
	c := remoteCommand("login URL", "Store a credential for a server", cobra.ExactArgs(1), func(ctx context.Context, r *remote, args []string) error {
		p.URL = args[0]
		value, err := key.read(r, "API key: ")
		if err != nil {
			return err
		}
		return r.login(ctx, p, value)
	})
	c.Long = `Store an API key for a server, in the system keyring where there is one, else in a file that only you
can read (~/.config/strongroom/credentials.json). The key is read from a prompt, --stdin or --file, never
from an argument.

A server can accept a key for custom secrets (OpenHands), for app secrets (Nx1), or for both. Login asks the server, and stores
the key for all that accept it. With a second key for the other kind, log in a second time.

Jobs need no login: they set STRONGROOM_URL and one of STRONGROOM_API_KEY, STRONGROOM_API_KEY_FILE (a file with the key) and
STRONGROOM_TOKEN_FILE, a file with a bearer token that is read again for each request, such as a Kubernetes service account's.`
	c.Example = `  strongroom login https://strongroom.example
  strongroom login https://strongroom.example --profile work --user alice --stdin`
	key.flags(c, "the API key")
	c.Flags().StringVar(&p.User, "user", "", "`id` of the user that the key is for, so that user/<id> finds this profile")
	c.Flags().StringVar(&p.Target, "target", "", "`owner` for commands that are given none (default me)")
	c.Flags().StringVar(&p.CAFile, "ca-file", "", "`file` with certificates to trust instead of the system's")
	return c
}

// login asks the server which secrets the key is for, then stores it.
func (r *remote) login(ctx context.Context, p client.Profile, key secret.Value) error {
	url, err := client.CheckURL(p.URL)
	if err != nil {
		return err
	}
	p.URL = url
	name := cmp.Or(r.Profile, client.DefaultProfile)
	if err := client.CheckName(name); err != nil {
		return err
	}
	c, err := r.Keeper.Load(name)
	if err != nil {
		return err
	}
	if c.Server != url {
		c = client.Credential{Server: url}
	}
	accepted, err := client.Probe(ctx, client.Server{URL: url, CAFile: p.CAFile, Agent: r.Agent}, key)
	if err != nil {
		return err
	}
	for _, kind := range accepted {
		if kind == secret.KindApp {
			c.App = key
		} else {
			c.Custom = key
		}
	}
	if len(accepted) == 0 {
		return errors.New("the server accepts this API key for no secrets: check the key and the URL")
	}
	return r.keep(name, p, c, accepted)
}

// keep stores the profile and its credential.
func (r *remote) keep(name string, p client.Profile, c client.Credential, accepted []string) error {
	old := r.Profiles.All[name]
	if old.URL == p.URL { // a second login adds to the first
		p.User, p.Target, p.CAFile = cmp.Or(p.User, old.User), cmp.Or(p.Target, old.Target), cmp.Or(p.CAFile, old.CAFile)
	}
	r.Profiles.All[name], r.Profiles.Current = p, name
	if p.Target != "" {
		if _, err := r.Profiles.ParseTarget(p.Target); err != nil {
			return err
		}
	}
	place, err := r.Keeper.Save(name, c)
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
	c := remoteCommand("logout", "Forget the credential of a profile", noArgs, func(_ context.Context, r *remote, _ []string) error {
		name, _, err := r.Profiles.Find(r.Profile)
		if err != nil {
			return err
		}
		removed, err := r.Keeper.Remove(name)
		if err == nil && !removed {
			err = errors.New("the profile " + name + " has no credential")
		}
		return err
	})
	c.Long = `Forget the credential of a profile on this machine. The server still accepts it: strongroom apikey revoke, on the server,
ends an API key.`
	c.Example = `  strongroom logout
  strongroom logout --profile work`
	return c
}

func whoamiCommand() *cobra.Command {
	c := remoteCommand("whoami", "Show the server, the credential and the secrets it may list", noArgs, whoami)
	outputFlag(c)
	c.Long = `Show the profile, the server, the kind of credential, and for you and for each alias whether the server lets
this credential list secrets. The published APIs tell no more: on the server, strongroom explain tells every right.`
	c.Example = `  strongroom whoami
  strongroom whoami -o json`
	return c
}

// A standing is the access to one owner.
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
