package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
)

func keyringCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "keyring", Short: "Show and change the keys that encrypt the state", Args: noArgs, RunE: showHelp,
		Long: `Show and change the keys that encrypt the state. The keyring holds the sealing keys, which encrypt records.
It is a part of the state, encrypted with the key that the config names under state.key.`,
		Example: `  strongroom keyring show`,
	}
	c.AddCommand(
		prints(described(adminCommand("show", "Show the ids of the sealing keys, and the progress of a rotation", noArgs, showKeyring),
			"", `  strongroom keyring show
  strongroom keyring show -o json`)),
		prints(described(adminCommand("rotate", "Add a sealing key, and reseal all records with it in the background", noArgs, rotateKeyring),
			"Add a sealing key for new data, and reseal all other records with it in the background. No request waits for that.",
			`  strongroom keyring rotate`)),
		asksFirst(removes(prints(described(adminCommand("prune", "Remove retired sealing keys that no record needs", noArgs, pruneKeyring),
			"Remove retired sealing keys. It first makes sure that no record of the state needs them.",
			`  strongroom keyring prune`))), says("This removes retired sealing keys for good. No record of the state needs them; backups have their own keyring.")),
		rewrapCommand(),
	)
	return c
}

func showKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.StatusWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	document, err := json.Marshal(resp.JSON200.Keyring)
	if err != nil {
		return err
	}
	return a.print(document, func() error { return a.printKeyring(resp.JSON200.Keyring) })
}

func rotateKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.RotateKeyringWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printKeyring(*resp.JSON200) })
}

func pruneKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.PruneKeyringWithResponse(ctx, gen.PruneKeyringJSONRequestBody{NoCompact: a.noCompact()})
	if err := refusal(resp, err); err != nil {
		return err
	}
	if err := a.print(resp.Body, func() error { return a.printKeyring(*resp.JSON200) }); err != nil {
		return err
	}
	return a.sayWhatStays("what retired keys sealed")
}

func (a *adminClient) printKeyring(k gen.Keyring) error {
	retired := slices.DeleteFunc(slices.Clone(k.Keys), func(id int) bool { return id == k.Primary })
	if err := a.printf("key %d seals; retired: %v\n", k.Primary, retired); err != nil {
		return err
	}
	switch {
	case k.Resealing:
		return a.printf("resealing: %d rows so far\n", k.Resealed)
	case k.Resealed > 0:
		return a.printf("resealing is done: %d rows\n", k.Resealed)
	}
	return nil
}

// rewrapCommand makes the new key durable before anything depends on it.
func rewrapCommand() *cobra.Command {
	var newKey string
	c := adminCommand("rewrap --new-key FILE", "Change the key that opens the state", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		key, err := keyIn(ctx, newKey)
		if err != nil {
			return fmt.Errorf("--new-key: %w", err)
		}
		resp, err := a.RewrapKeyringWithResponse(ctx, gen.RewrapKeyringJSONRequestBody{Key: key.Encode(), NoCompact: a.noCompact()})
		if err := refusal(resp, err); err != nil {
			return err
		}
		err = a.printf("from now on only the key in %s opens the state: name it in the config under state.key, and let the server read it\n"+
			"keep the old key: only it opens the backups taken before\n", newKey)
		if err != nil {
			return err
		}
		return a.sayWhatStays("the keyring that the old key opens")
	})
	c.Long = `Change the key that opens the state (the key-encryption key). Records stay as they are; only the keyring is
encrypted again. Afterwards name the new key in the config under state.key, or the server will not start again.

Keep the old key as long as earlier backups: only it opens them.`
	c.Example = `  strongroom keyring rewrap --new-key keys/state-2.key`
	c.Flags().StringVar(&newKey, "new-key", "", "the `file` with the new key; if it does not exist, it is created with a random key")
	_ = c.MarkFlagRequired("new-key") // fails only for a flag that does not exist
	return removes(c)
}

func keyIn(ctx context.Context, path string) (*seal.Key, error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := safefile.CreateText(path, []byte(seal.NewKey().Encode()+"\n")); err != nil {
			return nil, err
		}
	}
	return keyring.FromFile(path).Key(ctx)
}
