package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func doctorCommand() *cobra.Command {
	return adminCommand("doctor", "Say what is wrong with the state file and around it, and what to do", noArgs,
		func(ctx context.Context, a *adminClient, _ []string) error { return examine(ctx, a) })
}

func compactCommand() *cobra.Command {
	return adminCommand("compact", "Give unused room in the state file back to the disk", noArgs,
		func(ctx context.Context, a *adminClient, _ []string) error {
			resp, err := a.CompactWithResponse(ctx)
			if err := refusal(resp, err); err != nil {
				return err
			}
			return a.printf("the state file had %d KiB and has %d\n", resp.JSON200.Before>>10, resp.JSON200.After>>10)
		})
}

// examine prints a line for each thing looked at and fails if one is wrong.
func examine(ctx context.Context, a *adminClient) error {
	resp, err := a.DoctorWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	healthy := true
	for _, f := range *resp.JSON200 {
		mark := "ok   "
		switch {
		case !f.Ok:
			mark, healthy = "WRONG", false
		case f.Warning:
			mark = "WARN "
		}
		if err := a.printf("%s  %s: %s\n", mark, f.About, f.Text); err != nil {
			return err
		}
	}
	if !healthy {
		return errors.New("not everything is as it should be")
	}
	return nil
}
