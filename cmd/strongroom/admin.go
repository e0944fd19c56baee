package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/config"
)

// An adminClient sends requests to the server of a state file.
type adminClient struct {
	*gen.ClientWithResponses
	cfg *config.Config
	out *cobra.Command
}

// fileKind names the file of the state for people.
func (a *adminClient) fileKind() string {
	if a.cfg.State.Postgres != nil {
		return "cache"
	}
	return "state file"
}

// adminCommand returns a command that sends requests to the running server. Without one,
// this process opens the state file and serves the socket itself until the command is
// done.
func adminCommand(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, a *adminClient, args []string) error) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  args,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return administer(c, cfg, func(ctx context.Context, a *adminClient) error { return do(ctx, a, args) })
		},
	}
	configFlag(c, &file)
	return c
}

func administer(c *cobra.Command, cfg *config.Config, do func(context.Context, *adminClient) error) error {
	client, err := newAdminClient(c, cfg)
	if err != nil {
		return err
	}
	if served(c.Context(), cfg) {
		return do(c.Context(), client)
	}
	return app.WithoutServer(c.Context(), cfg, version, c.ErrOrStderr(), func(ctx context.Context) error { return do(ctx, client) })
}

func newAdminClient(c *cobra.Command, cfg *config.Config) (*adminClient, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return app.DialAdmin(ctx, cfg)
	}}
	client, err := gen.NewClientWithResponses("http://admin", gen.WithHTTPClient(&http.Client{Transport: transport}))
	return &adminClient{client, cfg, c}, err
}

func served(ctx context.Context, cfg *config.Config) bool {
	conn, err := app.DialAdmin(ctx, cfg)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// storeFlag adds --store, which is completed from the config.
func storeFlag(c *cobra.Command, store *string) {
	c.Flags().StringVar(store, "store", "", "`name` of the store, if the config has several")
	completeFromConfig(c, "store", storeNames)
}

func storeNames(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.Stores)) }

// completeFromConfig completes a flag with names from the config, if it can be read.
func completeFromConfig(c *cobra.Command, flag string, names func(*config.Config) []string) {
	_ = c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		path, err := c.Flags().GetString("config")
		if path == "" && err == nil {
			path, err = defaultConfig()
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, err := config.Load(path)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	})
}

// printf writes to the command's output.
func (a *adminClient) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out.OutOrStdout(), format, args...)
	return err
}

// store returns the given name, or the name of the only store.
func (a *adminClient) store(name string) (string, error) {
	switch {
	case name != "":
		return name, nil
	case len(a.cfg.Stores) == 1:
		for only := range a.cfg.Stores {
			return only, nil
		}
	}
	return "", errors.New("there are several stores: name one with --store")
}
