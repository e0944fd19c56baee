package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
			return serve(c.Context(), cfg, listen, c.ErrOrStderr())
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

func serve(ctx context.Context, cfg *config.Config, listen string, logs io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(logs, nil))
	if listen != "" {
		if err := cfg.ListenOn(listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	r, err := open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	handler, err := r.handler(cfg, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen.Address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	log.Info("listening", "address", listener.Addr().String(), "version", version)
	ctx, stop := untilBroken(ctx, r.file)
	defer stop()
	err = server.Serve(ctx, listener, handler, cfg.Listen.Drain, log)
	if cause := context.Cause(ctx); errors.Is(cause, state.ErrBroken) {
		err = errors.Join(cause, err)
	}
	return err
}

// untilBroken returns a context that also ends, with ErrBroken as its cause,
// when the disk fails under the state file: then nothing can be written any
// more, and what is on disk only the next process will know.
func untilBroken(ctx context.Context, file *state.File) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-file.Broken():
			cancel(state.ErrBroken)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
