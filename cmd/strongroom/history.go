package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
)

func historyCommand() *cobra.Command {
	var mount string
	c := remoteCommand("history [OWNER] NAME", "List the versions of a secret", cobra.RangeArgs(1, 2), func(ctx context.Context, r *remote, args []string) error {
		owner, name := ownerAnd(args)
		t, err := r.Target(owner)
		if err != nil {
			return err
		}
		versions, err := r.Versions(ctx, t, mount, name)
		if err != nil {
			return named(name, err)
		}
		return r.print(versions, func() error {
			return writeTable(r.out.OutOrStdout(), "VERSION|CREATED", versions, func(v client.Version) []string {
				return []string{itoa(v.Number), v.Created.Format(time.RFC3339)}
			})
		})
	})
	outputFlag(c)
	c.Flags().StringVar(&mount, "mount", "secret", "`name` of the mount, if the server's config has another apis.vault.mount")
	c.Long = `List the versions of a secret, newest first. Of the published APIs only Vault's KV API has versions, so the server needs apis.vault in its
config. Earlier versions need the right to administer the secret. No API tells which caller made a version: on the server, strongroom
audit search finds it.

OWNER is me (the default), user/<id>, app/<uuid> or an alias, and PROFILE:OWNER on the server of another profile.`
	c.Example = `  strongroom history GITHUB_TOKEN
  strongroom history app/0f8fad5b-d9cb-469f-a165-70867728950e db -o json`
	return c
}
