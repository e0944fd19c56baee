package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
)

func serveCommand() *cobra.Command {
	var file configSource
	var profile string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Serve the APIs until told to stop (SIGTERM)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			stop, err := profileTo(profile)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
			return serve(c, file)
		},
	}
	configFlag(c, &file.path)
	c.Flags().StringVar(&file.listen, "listen", "", "`address` to listen on instead of the config's")
	c.Flags().StringVar(&profile, "cpu-profile", "", "a new `file` that says in the end where CPU time went, for go tool pprof")
	return c
}

func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "the config `file`")
	_ = c.MarkFlagRequired("config") // fails only for a flag that does not exist
}

func serve(c *cobra.Command, file configSource) (err error) {
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	hangup := hangups()
	seen := digests{}
	seen.take(file.path)
	cfg, err := file.load()
	if err != nil {
		return err
	}
	r, err := open(c.Context(), cfg, c.OutOrStdout(), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	reloads, err := newReloader(file, cfg, seen, r, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reloads.current.Close()) }()
	endpoints, err := r.listen(cfg, reloads, log)
	if err != nil {
		return err
	}
	r.reportDamage(log)
	ctx, stop := untilBroken(c.Context(), r.file)
	var background sync.WaitGroup
	background.Go(func() { reloads.run(ctx, hangup) })
	log.Info("listening", "address", endpoints[0].Listener.Addr().String(), "version", version)
	defer collectLess()()
	err = server.Serve(ctx, cfg.Listen.Drain, log, endpoints...)
	stop()
	background.Wait()
	return errors.Join(r.file.Err(), err)
}

// ballast is memory that nobody touches, so that it takes none of the machine's,
// and that counts as alive. A megabyte lives and requests leave hundreds a
// second, so that without it garbage would be collected a hundred times a
// second, which took a fifth of the rate of reads; now the heap is some 20 MiB
// under load. A greater GOGC would do the same, and also let the heap grow to
// several times of what lives where much does, as in a flood of connections.
const ballast = 20 << 20

// collectLess allocates the ballast until it is let go, unless the environment
// says how often to collect.
func collectLess() (letGo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	b := make([]byte, ballast)
	return func() { runtime.KeepAlive(b) }
}

// reportDamage says what was damaged before, and does not keep the server from
// serving.
func (r *resources) reportDamage(log *slog.Logger) {
	if damage := r.file.Damage(); damage != "" {
		log.Warn("the state file was damaged, and what is left is whole: take a backup", "damage", damage)
	}
	if err := r.audit.Check(); err != nil {
		log.Error("the audit log is damaged: see strongroom audit verify, and strongroom audit mend", "error", err)
	}
}

// listen opens the listeners: that of the APIs, and the administration's.
func (r *resources) listen(cfg *config.Config, reloads *reloader, log *slog.Logger) ([]server.Endpoint, error) {
	program := strongroom.Program{Version: version, Serving: true, Config: reloads.config, Callers: reloads.callers}
	administration, err := r.adminEndpoint(cfg, program, log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen.Address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening: %w", err), administration.Listener.Close())
	}
	apis := server.Endpoint{Listener: listener, Handler: reloads.current, Connections: cfg.Listen.Connections}
	if cfg.Listen.TLS != nil {
		apis.TLS = reloads.current.TLS
	}
	return []server.Endpoint{apis, administration}, nil
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
