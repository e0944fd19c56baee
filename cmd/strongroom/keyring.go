package main

import (
	"context"
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
	c := &cobra.Command{Use: "keyring", Short: "Look after the keys that seal the state file", Args: noArgs, RunE: showHelp}
	c.AddCommand(
		adminCommand("show", "Show the keys' numbers, and how far sealing anew has come", noArgs, showKeyring),
		adminCommand("rotate", "Seal with a new key from now on, and everything else in the background", noArgs, rotateKeyring),
		adminCommand("prune", "Forget retired keys, with which nothing in the state file is sealed any more", noArgs, pruneKeyring),
		rewrapCommand(),
	)
	return c
}

func showKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.StatusWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printKeyring(resp.JSON200.Keyring)
}

func rotateKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.RotateKeyringWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printKeyring(*resp.JSON200)
}

func pruneKeyring(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.PruneKeyringWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printKeyring(*resp.JSON200)
}

func (a *adminClient) printKeyring(k gen.Keyring) error {
	retired := slices.DeleteFunc(slices.Clone(k.Keys), func(id int) bool { return id == k.Primary })
	if err := a.printf("key %d seals; retired: %v\n", k.Primary, retired); err != nil {
		return err
	}
	switch {
	case k.Resealing:
		return a.printf("sealing anew: %d rows so far\n", k.Resealed)
	case k.Resealed > 0:
		return a.printf("sealing anew is done: %d rows\n", k.Resealed)
	}
	return nil
}

// rewrapCommand makes the new key durable before anything depends on it.
func rewrapCommand() *cobra.Command {
	var newKey string
	c := adminCommand("rewrap --new-key FILE", "Change the key-encryption key", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		key, err := keyIn(ctx, newKey)
		if err != nil {
			return fmt.Errorf("--new-key: %w", err)
		}
		resp, err := a.RewrapKeyringWithResponse(ctx, gen.RewrapKeyringJSONRequestBody{Key: key.Encode()})
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.printf("the state file now opens with the key in %s only: name it in the config under state.key, where the server may read it\n", newKey)
	})
	c.Flags().StringVar(&newKey, "new-key", "", "the `file` with the new key; made with a random one if there is none")
	_ = c.MarkFlagRequired("new-key") // fails only for a flag that does not exist
	return c
}

func keyIn(ctx context.Context, path string) (*seal.Key, error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := safefile.CreateText(path, []byte(seal.NewKey().Encode()+"\n")); err != nil {
			return nil, err
		}
	}
	return keyring.FromFile(path).Key(ctx)
}
