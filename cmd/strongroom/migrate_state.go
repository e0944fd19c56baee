package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/config"
)

// migrateStateOptions are the flags of migrate state.
type migrateStateOptions struct{ config, to, database, path string }

func migrateStateCommand() *cobra.Command {
	var o migrateStateOptions
	c := &cobra.Command{
		Use:   "state --to postgres|file",
		Short: "Move the state from its file to a database, or back",
		Long: `Move the whole state: from the state file of the config to an empty PostgreSQL database, or from the database of the
config to a new state file. Stop all servers first. All rows are compared afterwards, the audit log continues, and the
old state stays as it is, but no server starts on a database that was moved to a file. An interrupted move can be
repeated. Then change the config as the command says.`,
		Example: `  strongroom migrate state --to postgres --database database-url
  strongroom migrate state --to file --path data/strongroom.db`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return migrateState(c, o) },
	}
	configFlag(c, &o.config)
	c.Flags().StringVar(&o.to, "to", "", "`kind` of the new state: postgres or file")
	c.Flags().StringVar(&o.database, "database", "", "with --to postgres, a `file` with the URL of an empty database")
	c.Flags().StringVar(&o.path, "path", "", "with --to file, the `path` of the new state file")
	_ = c.MarkFlagRequired("to") // fails only for a flag that does not exist
	c.MarkFlagsMutuallyExclusive("database", "path")
	return c
}

func migrateState(c *cobra.Command, o migrateStateOptions) error {
	cfg, err := config.Load(o.config)
	if err != nil {
		return err
	}
	if served(c.Context(), cfg) {
		return errors.New("a server is running on this state: stop it first")
	}
	switch {
	case o.to == "postgres" && cfg.State.Postgres == nil && o.database != "":
		return migrateToDatabase(c, cfg, o.database)
	case o.to == "file" && cfg.State.Postgres != nil && o.path != "":
		return migrateToFile(c, cfg, o.path)
	case o.to == "postgres" && cfg.State.Postgres == nil:
		return errors.New("--database: must name a file with the URL of an empty database")
	case o.to == "file" && cfg.State.Postgres != nil:
		return errors.New("--path: must name the new state file")
	case o.to == "postgres" || o.to == "file":
		return fmt.Errorf("--to: the state of this config is in a %s already", map[string]string{"postgres": "database", "file": "file"}[o.to])
	}
	return errors.New("--to: must be postgres or file")
}

func migrateToDatabase(c *cobra.Command, cfg *config.Config, urlFile string) error {
	if _, err := readDatabaseURL(urlFile); err != nil {
		return fmt.Errorf("--database: %w", err)
	}
	urlFile, err := filepath.Abs(urlFile)
	path, pathErr := filepath.Abs(cfg.State.Path)
	if err := errors.Join(err, pathErr); err != nil {
		return err
	}
	to := config.State{Key: cfg.State.Key, Postgres: &config.Postgres{
		URLFile: urlFile, Cache: filepath.Join(filepath.Dir(path), "cache"), Node: "migrate",
	}}
	rows, err := app.MoveToDatabase(c.Context(), cfg, to, version)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), `%d rows are in the database, and were compared
now replace state.path in the config by
  postgres: {url_file: %s, cache: %s}
and keep %s until the first backup of the new state
`, rows, urlFile, to.Postgres.Cache, cfg.State.Path)
	return err
}

func migrateToFile(c *cobra.Command, cfg *config.Config, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := app.MoveToFile(c.Context(), cfg, path, version); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), `the state is in %s, and all rows were compared
now replace state.postgres in the config by
  path: %[1]s
and keep the database until the first backup of the new state
`, path)
	return err
}
