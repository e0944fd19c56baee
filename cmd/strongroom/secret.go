package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// Arguments of commands: an owner, and a secret of the owner.
const secretArgs = "OWNER NAME"

func secretCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "secret",
		Short: "List secrets, restore or destroy their versions, or import secrets",
		Long: `List secrets, restore or destroy their versions, or import secrets of OpenHands or a cluster. OWNER is user/<id> for custom secrets of
OpenHands or app/<uuid> for those of an Nx1 app. No value is shown.`,
		Example: `  strongroom secret list user/default`,
		Args:    noArgs, RunE: showHelp,
	}
	c.AddCommand(
		prints(described(secretAction("list OWNER", "List the secrets of an owner, and when their values were last read", cobra.ExactArgs(1), listSecrets),
			"", `  strongroom secret list user/default
  strongroom secret list app/0f8fad5b-d9cb-469f-a165-70867728950e -o json`)),
		prints(described(secretAction("history "+secretArgs, "List the versions of a secret, newest first", cobra.ExactArgs(2), secretHistory),
			"List the versions of a secret, newest first. The first column has the REVISION for secret restore and secret undelete.",
			`  strongroom secret history user/default GITHUB_TOKEN`)),
		prints(described(secretAction("restore "+secretArgs+" REVISION", "Make an earlier version of a secret the current one", cobra.ExactArgs(3), restoreSecret),
			"Make an earlier version of a secret the current one. The replaced version stays in the history.",
			`  strongroom secret restore user/default GITHUB_TOKEN 1k3f9a2b7c4d5e6f`)),
		prints(described(secretAction("undelete "+secretArgs+" [REVISION]", "Restore a deleted secret with its history", cobra.RangeArgs(2, 3), undeleteSecret),
			"Restore a deleted secret with its history: the last one deleted under this name, or the one with this REVISION.",
			`  strongroom secret undelete user/default GITHUB_TOKEN`)),
		asksFirst(removes(described(secretAction("destroy "+secretArgs, "Remove a secret and its whole history for good", cobra.ExactArgs(2), destroySecret),
			"", `  strongroom secret destroy user/default GITHUB_TOKEN`)), func(args []string) string {
			return fmt.Sprintf("This removes the secret %q of %s and all its versions. Only a backup can bring them back.", args[1], args[0])
		}),
		secretImportCommand(),
	)
	return c
}

func ownerCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "owner", Short: "List owners and their deleted secrets, or erase an owner", Args: noArgs, RunE: showHelp,
		Example: `  strongroom owner list
  strongroom owner deleted user/default`,
	}
	c.AddCommand(
		prints(described(secretAction("list", "List the owners that have secrets, and how many each has", noArgs, listOwners),
			"List the owners that have secrets, and how many each has. Deleted secrets do not count.",
			`  strongroom owner list
  strongroom owner list -o json`)),
		prints(described(secretAction("deleted OWNER", "List deleted secrets that can be restored, newest first", cobra.ExactArgs(1), deletedSecrets),
			"", `  strongroom owner deleted user/default`)),
		asksFirst(removes(described(secretAction("erase OWNER", "Remove all secrets of an owner and their history for good", cobra.ExactArgs(1), eraseOwner),
			"", `  strongroom owner erase app/0f8fad5b-d9cb-469f-a165-70867728950e`)), func(args []string) string {
			return "This removes all secrets of " + args[0] + ", including deleted ones and all versions. Only a backup can bring them back."
		}),
	)
	return c
}

// A target is the owner or secret that a command works on. It may be all of a store.
type target struct {
	gen.SecretRef
	revision string
}

// secretAction is a command about a target in a store.
func secretAction(use, short string, args cobra.PositionalArgs, do func(context.Context, *adminClient, target) error) *cobra.Command {
	var store string
	c := adminCommand(use, short, args, func(ctx context.Context, a *adminClient, args []string) error {
		name, err := a.store(store)
		if err != nil {
			return err
		}
		args = append(args, "", "", "")
		return do(ctx, a, target{gen.SecretRef{Store: name, Owner: args[0], Name: args[1]}, args[2]})
	})
	storeFlag(c, &store)
	return c
}

func listSecrets(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.ListSecretsWithResponse(ctx, gen.OwnerRef{Store: t.Store, Owner: t.Owner})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error {
		return printTable(a, "NAME|KEYS|UPDATED|LAST ACCESS|DESCRIPTION", *resp.JSON200, func(v gen.Version) []string {
			return []string{v.Name, strings.Join(v.Keys, ","), when(&v.Updated), lastAccess(v), v.Description}
		})
	})
}

// lastAccess formats the time of the last access and its caller.
func lastAccess(v gen.Version) string {
	text := when(v.LastAccess)
	if v.LastAccessBy != nil {
		text += " by " + *v.LastAccessBy
	}
	if v.LastAccessKey != nil {
		text += ", key " + *v.LastAccessKey
	}
	return text
}

func secretHistory(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.SecretHistoryWithResponse(ctx, t.SecretRef)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printVersions(*resp.JSON200) })
}

func restoreSecret(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.RestoreSecretWithResponse(ctx, gen.RestoreSecretJSONRequestBody{
		Store: t.Store, Owner: t.Owner, Name: t.Name, Revision: t.revision,
	})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printVersions([]gen.Version{*resp.JSON200}) })
}

func undeleteSecret(ctx context.Context, a *adminClient, t target) error {
	body := gen.UndeleteSecretJSONRequestBody{Store: t.Store, Owner: t.Owner, Name: t.Name}
	if t.revision != "" {
		body.Revision = &t.revision
	}
	resp, err := a.UndeleteSecretWithResponse(ctx, body)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printVersions([]gen.Version{*resp.JSON200}) })
}

func destroySecret(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.DestroySecretWithResponse(ctx, gen.DestroySecretJSONRequestBody{
		Store: t.Store, Owner: t.Owner, Name: t.Name, NoCompact: a.noCompact(),
	})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.sayWhatStays("the secret")
}

func listOwners(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.ListOwnersWithResponse(ctx, gen.StoreRef{Store: t.Store})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error {
		return printTable(a, "OWNER|SECRETS", *resp.JSON200, func(o gen.OwnerInfo) []string {
			return []string{o.Owner, strconv.Itoa(o.Secrets)}
		})
	})
}

func deletedSecrets(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.DeletedSecretsWithResponse(ctx, gen.OwnerRef{Store: t.Store, Owner: t.Owner})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printVersions(*resp.JSON200) })
}

func eraseOwner(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.EraseOwnerWithResponse(ctx, gen.EraseOwnerJSONRequestBody{Store: t.Store, Owner: t.Owner, NoCompact: a.noCompact()})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.sayWhatStays("what the owner had")
}

// printVersions writes a line for each version, with the REVISION for restore and
// undelete.
func (a *adminClient) printVersions(versions []gen.Version) error {
	return printTable(a, "REVISION|TIME|NAME|KEYS|DESCRIPTION", versions, func(v gen.Version) []string {
		when := v.Updated
		if v.Deleted != nil {
			when = *v.Deleted
		}
		return []string{v.Revision, when.Format(time.RFC3339), v.Name, strings.Join(v.Keys, ","), v.Description}
	})
}
