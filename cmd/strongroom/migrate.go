package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

func migrateCommand() *cobra.Command {
	var from, to string
	var deleteSource bool
	c := adminCommand("migrate --from STORE --to STORE", "Copy all secrets from one store to another", noArgs,
		func(ctx context.Context, a *adminClient, _ []string) error {
			return migrate(ctx, a, gen.MigrateJSONRequestBody{From: from, To: to, DeleteSource: &deleteSource})
		})
	c.Long = `Copy all secrets from one store to another: values, descriptions and times of creation, but no
history. Each copy is verified before the next one. The command can be repeated: a secret that already exists
with the same content counts as copied, and one with different content is not changed.`
	c.Example = `  strongroom migrate --from embedded --to cluster
  strongroom migrate --from embedded --to cluster --delete-source`
	c.Flags().StringVar(&from, "from", "", "`name` of the store to copy from")
	c.Flags().StringVar(&to, "to", "", "`name` of the store to copy to")
	c.Flags().BoolVar(&deleteSource, "delete-source", false, "delete each secret at the source once its copy is verified")
	for _, flag := range []string{"from", "to"} {
		_ = c.MarkFlagRequired(flag) // fails only for a flag that does not exist
	}
	for _, flag := range []string{"from", "to"} {
		completeFromConfig(c, flag, storeNames)
	}
	c.AddCommand(migrateStateCommand())
	return asksFirst(c, func([]string) string {
		if !deleteSource {
			return ""
		}
		return fmt.Sprintf("This deletes each secret in the store %s once its copy in %s is verified.", from, to)
	})
}

// migrate prints the results, and fails if some secrets were skipped.
func migrate(ctx context.Context, a *adminClient, what gen.MigrateJSONRequestBody) error {
	resp, err := a.MigrateWithResponse(ctx, what)
	if err := refusal(resp, err); err != nil {
		return err
	}
	m := resp.JSON200
	for _, left := range m.Left {
		if err := a.printf("skipped: %q of %s: %s\n", left.Name, left.Owner, left.Why); err != nil {
			return err
		}
	}
	if err := a.printf("copied %d, already present %d, deleted at the source %d\n", m.Copied, m.Present, m.Deleted); err != nil {
		return err
	}
	if len(m.Left) > 0 {
		return fmt.Errorf("%d secrets were skipped", len(m.Left))
	}
	return nil
}
