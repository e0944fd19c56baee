package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
)

func serveCommand() *cobra.Command {
	var file, listen string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Serve the APIs until told to stop (SIGTERM)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return serve(c, cfg, listen)
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&listen, "listen", "", "`address` to listen on instead of the config's")
	return c
}

func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the config `file`")
	_ = c.MarkFlagRequired("config") // fails only for a flag that does not exist
}

func serve(c *cobra.Command, cfg *config.Config, listen string) (err error) {
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	if listen != "" {
		if err := cfg.ListenOn(listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	r, err := open(c.Context(), cfg, c.OutOrStdout(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p, err := r.newPolicy(cfg, log)
	if err != nil {
		return err
	}
	current := server.NewCurrent(p, log)
	defer func() { err = errors.Join(err, current.Close()) }()
	administration, err := r.adminEndpoint(cfg, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen.Address)
	if err != nil {
		return errors.Join(fmt.Errorf("listening: %w", err), administration.Listener.Close())
	}
	if damage := r.file.Damage(); damage != "" {
		log.Warn("the state file was damaged, and what is left is whole: take a backup", "damage", damage)
	}
	if err := r.audit.Check(); err != nil {
		log.Error("the audit log is damaged: see strongroom audit verify, and strongroom audit mend", "error", err)
	}
	log.Info("listening", "address", listener.Addr().String(), "version", version)
	ctx, stop := untilBroken(c.Context(), r.file)
	defer stop()
	err = server.Serve(ctx, cfg.Listen.Drain, log, server.Endpoint{Listener: listener, Handler: current}, administration)
	return errors.Join(r.file.Err(), err)
}

// untilBroken returns a context that also ends when nothing can be written to
// the state file any more: what is on disk then only the next process will
// know.
func untilBroken(ctx context.Context, file *state.File) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-file.Broken():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
