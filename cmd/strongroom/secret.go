package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// Whose secret, and which one, as arguments of the commands.
const secretArgs = "OWNER NAME"

func secretCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "secret",
		Short: "Look at secrets and their history, and put back what was",
		Long: `Look at secrets and their history, and put back what was. OWNER is user/<id> or app/<uuid>.
No value is shown.`,
		Args: noArgs, RunE: showHelp,
	}
	c.AddCommand(
		secretAction("list OWNER", "List what an owner has, and when the values were last delivered", cobra.ExactArgs(1), listSecrets),
		secretAction("history "+secretArgs, "List what a secret has been, newest first", cobra.ExactArgs(2), secretHistory),
		secretAction("restore "+secretArgs+" REVISION", "Give a secret the content of an earlier revision", cobra.ExactArgs(3), restoreSecret),
		secretAction("undelete "+secretArgs+" [REVISION]", "Put back what was deleted under a name: last, or at that revision", cobra.RangeArgs(2, 3), undeleteSecret),
		secretAction("destroy "+secretArgs, "Remove a secret and all its history for good", cobra.ExactArgs(2), destroySecret),
	)
	return c
}

func ownerCommand() *cobra.Command {
	c := &cobra.Command{Use: "owner", Short: "Look after all that a user or an app has", Args: noArgs, RunE: showHelp}
	c.AddCommand(
		secretAction("deleted OWNER", "List what can be undeleted, newest first", cobra.ExactArgs(1), deletedSecrets),
		secretAction("erase OWNER", "Remove all that an owner has and had, for good", cobra.ExactArgs(1), eraseOwner),
	)
	return c
}

// A target is what a command is about.
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
		args = append(args, "", "")
		return do(ctx, a, target{gen.SecretRef{Store: name, Owner: args[0], Name: args[1]}, args[2]})
	})
	c.Flags().StringVar(&store, "store", "", "`name` of the store, if the config has several")
	return c
}

func listSecrets(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.ListSecretsWithResponse(ctx, gen.OwnerRef{Store: t.Store, Owner: t.Owner})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return printTable(a, *resp.JSON200, func(v gen.Version) []string {
		return []string{v.Name, strings.Join(v.Keys, ","), "updated " + when(&v.Updated), "delivered " + deliveryOf(v), v.Description}
	})
}

// deliveryOf says when the values were last delivered, and to whom.
func deliveryOf(v gen.Version) string {
	text := when(v.Delivered)
	if v.DeliveredTo != nil {
		text += " to " + *v.DeliveredTo
	}
	if v.DeliveredBy != nil {
		text += ", key " + *v.DeliveredBy
	}
	return text
}

func secretHistory(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.SecretHistoryWithResponse(ctx, t.SecretRef)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printVersions(*resp.JSON200)
}

func restoreSecret(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.RestoreSecretWithResponse(ctx, gen.RestoreSecretJSONRequestBody{
		Store: t.Store, Owner: t.Owner, Name: t.Name, Revision: t.revision,
	})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printVersions([]gen.Version{*resp.JSON200})
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
	return a.printVersions([]gen.Version{*resp.JSON200})
}

func destroySecret(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.DestroySecretWithResponse(ctx, t.SecretRef)
	return refusal(resp, err)
}

func deletedSecrets(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.DeletedSecretsWithResponse(ctx, gen.OwnerRef{Store: t.Store, Owner: t.Owner})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printVersions(*resp.JSON200)
}

func eraseOwner(ctx context.Context, a *adminClient, t target) error {
	resp, err := a.EraseOwnerWithResponse(ctx, gen.OwnerRef{Store: t.Store, Owner: t.Owner})
	return refusal(resp, err)
}

// printVersions writes a line for each, with the revision that restore and
// undelete take.
func (a *adminClient) printVersions(versions []gen.Version) error {
	return printTable(a, versions, func(v gen.Version) []string {
		when := v.Updated
		if v.Deleted != nil {
			when = *v.Deleted
		}
		return []string{v.Revision, when.Format(time.RFC3339), v.Name, strings.Join(v.Keys, ","), v.Description}
	})
}
