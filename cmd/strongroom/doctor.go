package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

func doctorCommand() *cobra.Command {
	return prints(described(adminCommand("doctor", "Check the state and its environment, and suggest a remedy for each problem", noArgs,
		func(ctx context.Context, a *adminClient, _ []string) error { return examine(ctx, a) }),
		`Check permissions, disk, clock, keyring, certificate, the chain of the audit log and every record of the state, on a node
also the database and the other nodes, and say what to do about each problem. The exit code is 1 if something is wrong; a warning alone does not change it.`,
		`  strongroom doctor
  strongroom doctor -o json`))
}

func compactCommand() *cobra.Command {
	return described(adminCommand("compact", "Return unused space in the state file or cache to the disk", noArgs,
		func(ctx context.Context, a *adminClient, _ []string) error {
			resp, err := a.CompactWithResponse(ctx)
			if err := refusal(resp, err); err != nil {
				return err
			}
			return a.printf("the %s had %d KiB and now has %d KiB\n", a.fileKind(), resp.JSON200.Before>>10, resp.JSON200.After>>10)
		}),
		"Return unused space in the state file, or in the cache of a node, to the disk, while the server runs or not.",
		`  strongroom compact`)
}

// examine prints a line for each finding, and fails if one is a problem.
func examine(ctx context.Context, a *adminClient) error {
	resp, err := a.DoctorWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	healthy := !slices.ContainsFunc(*resp.JSON200, func(f gen.Finding) bool { return !f.Ok })
	if err := a.print(resp.Body, func() error { return a.printFindings(*resp.JSON200) }); err != nil {
		return err
	}
	if !healthy {
		return errors.New("there are problems: see above")
	}
	return nil
}

func (a *adminClient) printFindings(findings []gen.Finding) error {
	for _, f := range findings {
		mark := "ok   "
		switch {
		case !f.Ok:
			mark = "WRONG"
		case f.Warning:
			mark = "WARN "
		}
		if err := a.printf("%s  %s: %s\n", mark, f.About, f.Text); err != nil {
			return err
		}
	}
	return nil
}
