package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/secret"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Arguments of the client commands.
const (
	ownerNameArgs = "[OWNER] NAME[.KEY]"
	ownerHelp     = `OWNER is me (the default), user/<id>, app/<uuid> or an alias, and PROFILE:OWNER on the server of another profile. NAME is
a secret of one value; NAME.KEY is one of several values of an app secret. Give a name that has dots with --key KEY.`
)

// keyFlag adds --key.
func keyFlag(c *cobra.Command, key *string) {
	c.Flags().StringVar(key, "key", "", "data `key`, for a NAME that has dots")
}

func getCommand() *cobra.Command {
	var show, clip bool
	var key string
	after := duration.Duration(clipTime)
	c := remoteCommand("get "+ownerNameArgs, "Print a value, or copy it to the clipboard", cobra.RangeArgs(1, 2), func(ctx context.Context, r *remote, args []string) error {
		if !clip {
			if err := r.mustHide(show); err != nil {
				return err
			}
		}
		owner, name := ownerAnd(args)
		ref := client.ParseRef(name, key)
		v, err := r.value(ctx, owner, ref)
		if err != nil {
			return err
		}
		if clip {
			return r.clip(ctx, v, ref.String(), time.Duration(after))
		}
		end := ""
		if isTerminal(r.out.OutOrStdout()) {
			end = "\n"
		}
		return r.printf("%s%s", string(v), end)
	})
	c.Long = `Print the bytes of one value and nothing else. To a terminal it is printed only with --show.

--clip copies it to the clipboard instead, by wl-copy, xclip, xsel or pbcopy. After 45 seconds a process clears the clipboard, if it still has this
value. Clipboard managers can keep what was in it.

` + ownerHelp
	c.Example = `  strongroom get GITHUB_TOKEN --show
  strongroom get GITHUB_TOKEN --clip
  strongroom get app/0f8fad5b-d9cb-469f-a165-70867728950e db.PASSWORD > password`
	c.Flags().BoolVar(&show, "show", false, "print the value even to a terminal")
	c.Flags().BoolVar(&clip, "clip", false, "copy the value to the clipboard instead")
	c.Flags().Var(&after, "clip-time", "`time` after which --clip clears the clipboard")
	c.MarkFlagsMutuallyExclusive("show", "clip")
	keyFlag(c, &key)
	return c
}

func (r *remote) value(ctx context.Context, owner string, ref client.Ref) (secret.Value, error) {
	s, _, err := r.open(owner)
	if err != nil {
		return "", err
	}
	one, err := s.Reveal(ctx, ref.Name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref.Name, err)
	}
	key, err := one.Find(ref)
	return one.Data[key], err
}

func setCommand() *cobra.Command {
	var from valueSource
	var key, description string
	c := remoteCommand("set "+ownerNameArgs, "Create a secret or replace a value", cobra.RangeArgs(1, 2), func(ctx context.Context, r *remote, args []string) error {
		owner, name := ownerAnd(args)
		s, kind, err := r.open(owner)
		if err != nil {
			return err
		}
		ref := client.ParseRef(name, key)
		v, err := from.read(r, "Value of "+ref.String()+": ")
		if err != nil {
			return err
		}
		warnings, err := client.Set(ctx, s, kind, ref, v, description)
		r.warn(warnings)
		return err
	})
	c.Long = `Create a secret or replace its value. The value is read from a prompt, --stdin or --file, never from an argument. Other
values of an app secret stay; since the API of Nx1 replaces all values at once, this needs the right to reveal
the secret.

` + ownerHelp
	c.Example = `  strongroom set GITHUB_TOKEN
  strongroom set app/0f8fad5b-d9cb-469f-a165-70867728950e db.PASSWORD --stdin
  strongroom set TLS_KEY --file server.key --description 'for the proxy'`
	from.flags(c, "the value")
	keyFlag(c, &key)
	c.Flags().StringVar(&description, "description", "", "`text` that lists show; custom secrets only (default: the current one)")
	return c
}

func lsCommand() *cobra.Command {
	var all bool
	c := remoteCommand("ls [OWNER]", "List secrets", cobra.MaximumNArgs(1), func(ctx context.Context, r *remote, args []string) error {
		owners := []string{strings.Join(args, "")}
		if all {
			owners = r.everyOwner()
		}
		return r.list(ctx, owners, all)
	})
	outputFlag(c)
	c.Long = `List the names of secrets, their data keys and descriptions. No value is shown. --all lists the secrets of all profiles and
aliases, each alias on the server of each profile; owners whose secrets you may not list are named on standard error.

OWNER is me (the default), user/<id>, app/<uuid> or an alias, and PROFILE:OWNER on the server of another profile.`
	c.Example = `  strongroom ls
  strongroom ls app/0f8fad5b-d9cb-469f-a165-70867728950e -o json
  strongroom ls --all`
	c.Flags().BoolVar(&all, "all", false, "list the secrets of all profiles, and of all aliases there")
	return c
}

// everyOwner returns the targets of all profiles: the user, and each alias.
func (r *remote) everyOwner() (owners []string) {
	for _, name := range r.Profiles.Names() {
		owners = append(owners, name+":me")
		for _, alias := range r.Profiles.AliasNames() {
			owners = append(owners, name+":"+alias)
		}
	}
	return owners
}

// A listed is a secret in a list, with its owner if there are several.
type listed struct {
	Owner string `json:"owner,omitempty"`
	client.Entry
}

func (r *remote) list(ctx context.Context, owners []string, several bool) error {
	found := []listed{}
	for _, owner := range owners {
		s, _, err := r.open(owner)
		var entries []client.Entry
		if err == nil {
			entries, err = s.List(ctx)
		}
		if err != nil && !several {
			return err
		}
		if err != nil {
			r.note("%s: %s", owner, printable(err.Error()))
		}
		for _, e := range entries {
			one := listed{Entry: e}
			if several {
				one.Owner = owner
			}
			found = append(found, one)
		}
	}
	return r.print(found, func() error {
		return writeTable(r.out.OutOrStdout(), "NAME|KEYS|DESCRIPTION"+map[bool]string{true: "|OWNER"}[several], found, func(l listed) []string {
			return append([]string{l.Name, strings.Join(l.Keys, ","), l.Description}, strings.Fields(l.Owner)...)
		})
	})
}

func rmCommand() *cobra.Command {
	var yes bool
	var key string
	c := remoteCommand("rm "+ownerNameArgs, "Delete a secret, or one of its values", cobra.RangeArgs(1, 2), func(ctx context.Context, r *remote, args []string) error {
		owner, name := ownerAnd(args)
		s, _, err := r.open(owner)
		if err != nil {
			return err
		}
		ref := client.ParseRef(name, key)
		if err := r.agree(yes, fmt.Sprintf("This deletes %s.", ref)); err != nil {
			return err
		}
		if ref.DataKey == "" {
			return named(ref.Name, s.Delete(ctx, ref.Name, ""))
		}
		return client.RemoveKey(ctx, s, ref)
	})
	c.Long = `Delete a secret, or with NAME.KEY one value of an app secret. Where the server keeps deleted secrets, strongroom secret undelete
puts one back there.

` + ownerHelp
	c.Example = `  strongroom rm GITHUB_TOKEN
  strongroom rm app/0f8fad5b-d9cb-469f-a165-70867728950e db --yes`
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	keyFlag(c, &key)
	return c
}

// named adds the name of a secret to an error.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func mvCommand() *cobra.Command {
	c := remoteCommand("mv [OWNER] NAME NEW-NAME", "Rename a secret", cobra.RangeArgs(2, 3), func(ctx context.Context, r *remote, args []string) error {
		owner := ""
		if len(args) == 3 {
			owner, args = args[0], args[1:]
		}
		s, kind, err := r.open(owner)
		if err != nil {
			return err
		}
		if err := client.Check(kind, []client.Secret{{Name: args[1], Data: map[string]secret.Value{client.ValueKey: ""}}}); err != nil {
			return err
		}
		err = s.Rename(ctx, args[0], args[1])
		if errors.Is(err, secret.ErrExists) {
			return fmt.Errorf("%s: there is a secret of this name: remove it first", args[1])
		}
		return named(args[0], err)
	})
	c.Long = `Rename a secret. The API of Nx1 has no such operation: an app secret is copied and then deleted, which needs the right to
reveal it; after an error both names may exist.`
	c.Example = `  strongroom mv GITHUB_TOKEN GH_TOKEN
  strongroom mv app/0f8fad5b-d9cb-469f-a165-70867728950e db database`
	return c
}

func aliasCommand() *cobra.Command {
	c := remoteCommand("alias [NAME app/<uuid>]", "Give an app a short name, or list the short names", rangeOrNone, func(_ context.Context, r *remote, args []string) error {
		if len(args) == 2 {
			if err := client.CheckName(args[0]); err != nil {
				return err
			}
			unlock, err := r.Lock()
			if err != nil {
				return err
			}
			defer unlock()
			r.Profiles.Aliases[args[0]] = args[1]
			return r.Profiles.Save()
		}
		return r.print(maps.Clone(r.Profiles.Aliases), func() error {
			return writeTable(r.out.OutOrStdout(), "ALIAS|OWNER", r.Profiles.AliasNames(), func(name string) []string {
				return []string{name, r.Profiles.Aliases[name]}
			})
		})
	})
	outputFlag(c)
	c.Long = `Give an app a short name for use as OWNER, or list the short names. They are in ~/.config/strongroom/client.yaml.`
	c.Example = `  strongroom alias shop app/0f8fad5b-d9cb-469f-a165-70867728950e
  strongroom alias`
	return c
}

func rangeOrNone(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return errors.New("want a name and app/<uuid>, or no arguments")
	}
	return cobra.MaximumNArgs(2)(c, args)
}
