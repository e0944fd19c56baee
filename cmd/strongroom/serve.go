package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/app"
)

func serveCommand() *cobra.Command {
	var source app.Source
	var profile string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the APIs until told to stop (SIGTERM)",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			stop, err := profileTo(profile)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
			return app.Serve(c.Context(), source, version, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	configFlag(c, &source.Path)
	c.Flags().StringVar(&source.Listen, "listen", "", "`address` to listen on instead of the config's")
	c.Flags().StringVar(&profile, "cpu-profile", "", "a new `file` that says in the end where CPU time went, for go tool pprof")
	return c
}
