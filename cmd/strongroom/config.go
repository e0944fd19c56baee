package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Check a config without serving it",
		Example: `  strongroom config check`,
		Args:    noArgs,
		RunE:    showHelp,
	}
	c.AddCommand(configCheckCommand())
	return c
}

func configCheckCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check",
		Short: "Check a config and the keys, certificates and kubeconfigs that it names",
		Long: `Check a config and the keys, certificates and kubeconfigs that it names. It sends no network requests, and
needs neither a running server nor a state file. A systemd credential is checked only by root while the service
runs; otherwise a warning says that it was not checked. The exit code is 1 if the server would not start.`,
		Example: `  strongroom config check
  strongroom config check --config configs/production.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			warnings, err := app.Check(c.Context(), cfg)
			if err != nil {
				return fmt.Errorf("%s:\n%w", file, err)
			}
			for _, w := range warnings {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "the config is valid")
			return err
		},
	}
	configFlag(c, &file)
	return c
}
