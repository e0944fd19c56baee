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
		Short: "Serve the APIs until SIGTERM",
		Long: `Serve the APIs until SIGTERM. A changed config, keys file or certificate takes effect within two
seconds, or at once on SIGHUP; strongroom status says which fields need a restart. The log goes to standard error.

Exit codes: 0 after SIGTERM, 1 if the server cannot start, 74 if the disk failed under the state file.`,
		Example: `  strongroom serve
  strongroom serve --config demo/strongroom.yaml --listen 127.0.0.1:3100`,
		Args: noArgs,
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
	c.Flags().StringVar(&source.Metrics, "metrics", "", "`address` for Prometheus to scrape, instead of the config's")
	c.Flags().StringVar(&profile, "cpu-profile", "", "a new `file` for a CPU profile (go tool pprof), written at the end")
	return c
}
