package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Look at a config without serving it",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	c.AddCommand(configCheckCommand())
	return c
}

// showHelp is what a group of commands does alone. Without it and NoArgs, an
// unknown command of the group would show the help and succeed.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

func configCheckCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Say what is wrong with a config and the keys, certificates and kubeconfigs that it names",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			_, keyErr := keySource(cfg.State.Key).Key(c.Context())
			_, tlsErr := openTLS(cfg.Listen.TLS)
			s, authErr := openStrategies(cfg, &oidc.KeySets{}, nil, slog.New(slog.DiscardHandler))
			if err := errors.Join(keyErr, tlsErr, checkKubeconfigs(cfg), authErr, s.Close()); err != nil {
				return fmt.Errorf("%s:\n%w", file, err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "the config is good")
			return err
		},
	}
	configFlag(c, &file)
	return c
}

// checkKubeconfigs asks no cluster. Whether we are in one is not to be known
// here: a config may be checked elsewhere.
func checkKubeconfigs(cfg *config.Config) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Stores)) {
		k := cfg.Stores[name].Kubernetes
		if k == nil || k.Kubeconfig == "" {
			continue
		}
		st, err := openKubernetes(k)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("stores.%s.kubernetes: %w", name, err))
			continue
		}
		wrong = append(wrong, st.Close())
	}
	return errors.Join(wrong...)
}
