package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// openState opens the state of the config: a state file, or a database and this node's
// cache. The node is nil with a state file. Errors name the field.
func openState(ctx context.Context, cfg *config.Config, version string, altered bool, log *slog.Logger) (file *state.File, keys *keyring.Keyring, n *node, err error) {
	field, source := "state.path", KeySource(cfg.State.Key)
	if p := cfg.State.Postgres; p != nil {
		field = "state.postgres"
		options, optionsErr := databaseOptions(p, version)
		if optionsErr != nil {
			return nil, nil, nil, optionsErr // it names the field
		}
		n, keys, err = openNode(ctx, cfg, options, log)
		if err == nil {
			file = n.file
		}
	} else {
		file, keys, err = admin.OpenState(ctx, cfg.State.Path, source, state.Options{JournalBytes: *cfg.State.JournalBytes, Altered: altered})
	}
	if err != nil {
		return nil, nil, nil, explain(field, err)
	}
	return file, keys, n, nil
}

// explain adds the field of the config to an error of opening the state.
func explain(field string, err error) error {
	var locked *state.LockedError
	switch {
	case errors.Is(err, seal.ErrWrongKey):
		return fmt.Errorf("state.key: %w", err)
	case errors.As(err, &locked):
		return err // it names the field
	case errors.Is(err, state.ErrMissing), errors.Is(err, postgres.ErrNoState):
		return fmt.Errorf("%s: %w: create one with strongroom init, or restore a backup", field, err)
	}
	return fmt.Errorf("%s: %w", field, err)
}

// openNode connects to the database, and opens the cache or fills a new one.
func openNode(ctx context.Context, cfg *config.Config, options postgres.Options, log *slog.Logger) (*node, *keyring.Keyring, error) {
	if _, err := makeCache(cfg.State.Postgres.Cache); err != nil {
		return nil, nil, err
	}
	db, err := postgres.Open(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	file, keys, err := admin.OpenShared(ctx, cfg.State.File(), db, KeySource(cfg.State.Key))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return newNode(db, file, cfg.Reads, log), keys, nil
}

// databaseOptions reads the URL of the database. Its errors name the field.
func databaseOptions(p *config.Postgres, version string) (postgres.Options, error) {
	url, err := databaseURL(p)
	return postgres.Options{URL: string(url), Node: p.Node, Version: version}, err
}

// databaseURL returns the URL, which has a password.
func databaseURL(p *config.Postgres) (secret.Value, error) {
	if p.URLEnv != "" {
		url, ok := os.LookupEnv(p.URLEnv)
		if !ok {
			return "", fmt.Errorf("state.postgres.url_env: the environment variable %s is not set", p.URLEnv)
		}
		return secret.Value(url), nil
	}
	text, err := safefile.ReadPrivate(p.URLFile)
	if err != nil {
		return "", fmt.Errorf("state.postgres.url_file: %w", err)
	}
	return secret.Value(bytes.TrimSpace(text)), nil
}

// makeCache creates the directory of the cache, and returns its owner.
func makeCache(dir string) (safefile.User, error) {
	owner, err := safefile.OwnerOf(dir)
	if err == nil {
		err = owner.Do(func() error { return os.MkdirAll(dir, 0o700) })
	}
	if err != nil {
		return owner, fmt.Errorf("cache: %w", err)
	}
	return owner, nil
}
