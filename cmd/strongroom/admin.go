package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/peer"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/server"
)

// adminSocket is beside the state file, and belongs to the process that has it.
func adminSocket(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(cfg.State.Path), "admin.sock")
}

// maxSocketPath is what the kernel takes (unix(7)), without the closing NUL.
const maxSocketPath = 107

// adminEndpoint serves administration on the socket.
func (r *resources) adminEndpoint(cfg *config.Config, program strongroom.Program, log *slog.Logger) (server.Endpoint, error) {
	api, err := strongroom.New(r.office, program, auth.Chain{Without: peer.Strategy{}, Failures: r.audit}, log)
	if err != nil {
		return server.Endpoint{}, fmt.Errorf("administration: %w", err)
	}
	path := adminSocket(cfg)
	if len(path) > maxSocketPath {
		return server.Endpoint{}, fmt.Errorf("administration: %s has %d bytes, and a socket's path may have %d: keep the state file where the path is shorter",
			path, len(path), maxSocketPath)
	}
	// One that is left over: whoever has the state file has the socket.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return server.Endpoint{}, fmt.Errorf("administration: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return server.Endpoint{}, fmt.Errorf("administration: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return server.Endpoint{}, errors.Join(fmt.Errorf("administration: %w", err), listener.Close())
	}
	return server.Endpoint{Listener: listener, Handler: api, ConnContext: peer.ConnContext, Patient: true}, nil
}

// An adminClient asks the server that runs on a state file.
type adminClient struct {
	*gen.ClientWithResponses
	cfg *config.Config
	out *cobra.Command
}

// adminCommand is a command that asks the running server, or with none running
// answers from the state file: then this process serves the socket itself
// until the command is done.
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
	if served(cfg) {
		return do(c.Context(), client)
	}
	return withoutServer(c, cfg, func(ctx context.Context) error { return do(ctx, client) })
}

func newAdminClient(c *cobra.Command, cfg *config.Config) (*adminClient, error) {
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", adminSocket(cfg))
	}}
	client, err := gen.NewClientWithResponses("http://admin", gen.WithHTTPClient(&http.Client{Transport: transport}))
	return &adminClient{client, cfg, c}, err
}

func served(cfg *config.Config) bool {
	conn, err := net.Dial("unix", adminSocket(cfg))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// withoutServer opens the state file for as long as do takes.
func withoutServer(c *cobra.Command, cfg *config.Config, do func(context.Context) error) (err error) {
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	// Standard output is the command's own.
	r, err := open(c.Context(), cfg, c.ErrOrStderr(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// What another process has left unfinished, or the keyring could not change.
	if err := r.office.WaitForReseal(c.Context()); err != nil {
		return err
	}
	now := time.Now()
	program := strongroom.Program{
		Version: version,
		Config:  func() strongroom.Config { return strongroom.Config{Since: now} },
		Callers: func(ctx context.Context, credential string) ([]strongroom.Known, error) {
			s, err := openStrategies(cfg, &r.issuers, r.keys, log)
			if err != nil {
				return nil, err
			}
			return s.known(ctx, credential), s.Close()
		},
	}
	endpoint, err := r.adminEndpoint(cfg, program, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, time.Second, log, endpoint) }()
	err = do(ctx)
	if err == nil {
		err = r.office.WaitForReseal(ctx) // nobody else would go on with it
	}
	stop()
	return errors.Join(err, <-ended)
}

// printf writes to the command's output.
func (a *adminClient) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out.OutOrStdout(), format, args...)
	return err
}

// store is the one that was named, or the only one there is.
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
