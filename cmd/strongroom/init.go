package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/strongroom/strongroom/internal/app"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

//go:embed init.yaml
var initialConfig []byte

// consoleConfig is added with --console.
var consoleConfig = []byte(`
# The web console at /console, for the API keys of all strategies above, and the
# documentation of the APIs at /docs.
console: {}
`)

// The files that init creates, with the names in init.yaml.
const (
	configFile      = "strongroom.yaml"
	stateFile       = "data/strongroom.db"
	cacheDir        = "data/cache" // of a database
	databaseURLFile = "keys/database-url"
	stateKeyFile    = "keys/state.key"
	sessionKeysFile = "keys/session-keys.yaml"
	pskFile         = "keys/psks.yaml"
)

func initCommand() *cobra.Command {
	var file string
	var ifMissing bool
	var o initOptions
	c := &cobra.Command{
		Use:   "init --dir DIR",
		Short: "Create a config, keys and an empty state",
		Long: `Create a config, keys and an empty state file in DIR, for serve --config DIR/strongroom.yaml.
Existing files are never overwritten.

It creates one API key for each API and prints both once, as headers; only their hashes are
kept. With --keys-out FILE they go to that file instead, with mode 0600. These keys may do
everything, including reveal. strongroom apikey rotate replaces one.

With --console, the config also serves the web console, at /console, and the keys also
administer the whole server.

With --postgres FILE the state is in a database, which several nodes can share. init creates the tables there, and
copies the URL to DIR/keys. For another node, copy DIR without its directory data.

With --config FILE instead, init creates only the empty state that this config describes, with the key
that it names. With --if-missing it does nothing if the state exists.`,
		Example: `  strongroom init --dir strongroom --keys-out api-keys
  strongroom init --config /etc/strongroom/strongroom.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file != "" {
				return initializeState(c.Context(), file, ifMissing)
			}
			return initialize(c, o)
		},
	}
	c.Flags().StringVar(&o.dir, "dir", "", "the `directory`, created if it does not exist")
	c.Flags().StringVar(&file, "config", "", "the config `file` for which to create only the state")
	c.Flags().StringVar(&o.keysOut, "keys-out", "", "a new `file` for the API keys, instead of standard output")
	c.Flags().StringVar(&o.database, "postgres", "", "a `file` with the URL of an empty PostgreSQL database, for several nodes")
	c.Flags().BoolVar(&o.console, "console", false, "serve the web console at /console: sign in with one of the API keys")
	c.Flags().BoolVar(&ifMissing, "if-missing", false, "with --config, succeed without a change if the state exists")
	_ = c.MarkFlagDirname("dir")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
	_ = c.MarkFlagFilename("postgres")
	c.MarkFlagsMutuallyExclusive("config", "postgres")
	c.MarkFlagsMutuallyExclusive("config", "keys-out")
	c.MarkFlagsMutuallyExclusive("dir", "if-missing")
	c.MarkFlagsMutuallyExclusive("config", "console")
	c.MarkFlagsOneRequired("dir", "config")
	c.MarkFlagsMutuallyExclusive("dir", "config")
	return c
}

func initializeState(ctx context.Context, file string, ifMissing bool) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(cfg.State.Path); cfg.State.Postgres == nil && err == nil && ifMissing {
		return nil
	}
	err = app.NewState(ctx, cfg.State, version)
	if errors.Is(err, postgres.ErrExists) && ifMissing {
		return nil
	}
	if errors.Is(err, state.ErrUnknown) {
		return fmt.Errorf("%w; %s", err, repeat(file))
	}
	if err != nil {
		return fmt.Errorf("nothing was created: %w", err)
	}
	return nil
}

// repeat says how to create a state in a database that may have it already.
func repeat(config string) string {
	return "once the database answers, run strongroom init --config " + config + " --if-missing"
}

// initOptions are the flags of init --dir.
type initOptions struct {
	dir, keysOut, database string
	console                bool
}

// config returns the text of the config.
func (o initOptions) config() []byte {
	text := initialConfig
	if o.database != "" {
		text = bytes.Replace(text, []byte(fileConfig), []byte(databaseConfig), 1)
	}
	if o.console {
		text = slices.Concat(text, consoleConfig)
	}
	return text
}

// The state in init.yaml, and with --postgres.
const (
	fileConfig     = "  path: " + stateFile + "\n"
	databaseConfig = "  postgres: {url_file: " + databaseURLFile + ", cache: " + cacheDir + "} # or url_env: NAME; node: NAME, by default the host's\n"
)

// files returns the files to create, in this order. The config comes last, so that an existing
// config means a complete installation. A state in a database comes even later, because it
// cannot be removed again.
func (o initOptions) files(ctx context.Context, sessionKeys, psks []byte) (files []initFile, err error) {
	text := func(name string, content []byte) initFile {
		return initFile{name, func(path string) error { return safefile.CreateText(path, content) }}
	}
	files = []initFile{
		text(stateKeyFile, []byte(seal.NewKey().Encode()+"\n")), text(sessionKeysFile, sessionKeys), text(pskFile, psks),
	}
	s := config.State{Path: filepath.Join(o.dir, stateFile), Key: config.KeySource{File: filepath.Join(o.dir, stateKeyFile)}}
	newState := func(string) error { return app.NewState(ctx, s, version) }
	if o.database == "" {
		return append(files, initFile{stateFile, newState}, text(configFile, o.config())), nil
	}
	url, err := readDatabaseURL(o.database)
	if err != nil {
		return nil, fmt.Errorf("--postgres: %w", err)
	}
	s.Path, s.Postgres = "", &config.Postgres{URLFile: filepath.Join(o.dir, databaseURLFile), Cache: filepath.Join(o.dir, cacheDir), Node: "init"}
	return append(files, text(databaseURLFile, url), text(configFile, o.config()), initFile{cacheDir, newState}), nil
}

// readDatabaseURL reads the file that a flag names.
func readDatabaseURL(file string) ([]byte, error) {
	if strings.Contains(file, "://") {
		return nil, errors.New("must be a file with the URL, because a URL has a password")
	}
	return safefile.ReadPrivate(file)
}

// An initFile is a file or a directory that init creates.
type initFile struct {
	name string
	make func(path string) error
}

// initialize creates all files, or none if one exists already.
func initialize(c *cobra.Command, o initOptions) (err error) {
	if _, err := os.Lstat(o.keysOut); o.keysOut != "" && err == nil {
		return fmt.Errorf("nothing was created: --keys-out: %w", &os.PathError{Op: "create", Path: o.keysOut, Err: os.ErrExist})
	}
	var made []string
	defer func() {
		if err != nil {
			slices.Reverse(made)
			_ = safefile.Remove(made...)
		}
	}()
	if made, err = o.makeDirs(); err != nil {
		return err
	}
	var administration []grant.Line
	if o.console {
		administration = append(administration, grant.Line{Actions: []secret.Action{secret.List, secret.Admin}, Owner: "user/" + secret.AnyID})
	}
	sessionKey, sessionKeys, err := newKeysFile("X-Session-API-Key", administration...)
	psk, psks, pskErr := newKeysFile("Authorization-PSK", administration...)
	if err := errors.Join(err, pskErr); err != nil {
		return err
	}
	files, err := o.files(c.Context(), sessionKeys, psks)
	if err != nil {
		return err
	}
	unconfirmed := error(nil) // of the database, which may have the state: its key must stay
	for _, f := range files {
		path := filepath.Join(o.dir, f.name)
		if err := f.make(path); errors.Is(err, state.ErrUnknown) {
			unconfirmed = fmt.Errorf("%w; all else was created: %s", err, repeat(filepath.Join(o.dir, configFile)))
		} else if err != nil {
			return fmt.Errorf("nothing was created: %w", err)
		}
		made = append(made, path)
		if f.name == stateFile {
			made = append(made, state.Files(path)[1:]...)
		}
	}
	err = handOut(c, filepath.Join(o.dir, configFile), o.keysOut, fmt.Sprintf("X-Session-API-Key: %s\nAuthorization-PSK: %s\n", sessionKey, psk))
	if err != nil && o.database != "" {
		err = fmt.Errorf("%w: all else was created, so replace the API keys with strongroom apikey rotate: their ids are in %s and %s",
			err, filepath.Join(o.dir, sessionKeysFile), filepath.Join(o.dir, pskFile))
	}
	if o.database != "" {
		made = nil
	}
	return errors.Join(unconfirmed, err)
}

// makeDirs creates the directories, and returns those that did not exist.
func (o initOptions) makeDirs() (made []string, err error) {
	owner, err := safefile.OwnerOf(o.dir)
	if err != nil {
		return nil, err
	}
	dirs := []string{"", "keys", "data"}
	if o.database != "" {
		dirs = append(dirs, cacheDir)
	}
	for _, sub := range dirs {
		path := filepath.Join(o.dir, sub)
		_, statErr := os.Lstat(path)
		if err := owner.Do(func() error { return os.MkdirAll(path, 0o700) }); err != nil {
			return made, fmt.Errorf("creating the directory: %w", err)
		}
		if errors.Is(statErr, os.ErrNotExist) {
			made = append(made, path)
		}
	}
	return made, nil
}

// handOut writes new API keys to standard output, or to a new file with mode 0600.
func handOut(c *cobra.Command, made, keysOut, keys string) error {
	if keysOut != "" {
		if err := safefile.CreateText(keysOut, []byte(keys)); err != nil {
			return fmt.Errorf("--keys-out: %w", err)
		}
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "created %s; the API keys are in %s\n", made, keysOut)
		return nil
	}
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "created %s; these keys are shown only once:\n", made)
	_, err := fmt.Fprint(c.OutOrStdout(), keys)
	return err
}

// newKeysFile returns a new API key, and a keys file that gives it every right on the
// default user and on all apps, and the additional grants.
func newKeysFile(header string, more ...grant.Line) (key string, file []byte, err error) {
	key, id := apikey.Generate()
	everything := func(owner string) grant.Line {
		return grant.Line{Actions: secret.Actions(), Owner: owner}
	}
	file, err = yaml.Marshal(apikey.Keys{Keys: []apikey.Key{{
		ID: id, SHA256: apikey.HashOf(key), Subject: "admin", User: apikey.DefaultUser,
		Grants: append([]grant.Line{everything("user/" + apikey.DefaultUser), everything("app/" + secret.AnyID)}, more...),
	}}})
	if err != nil {
		return "", nil, fmt.Errorf("encoding a keys file: %w", err)
	}
	return key, append([]byte("# Keys for the header "+header+". Only their hashes are kept.\n"), file...), nil
}
