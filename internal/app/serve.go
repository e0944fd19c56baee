package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/tracing"
)

// Serve serves the APIs of the config until ctx is done. The log goes to stderr, and
// anchors to stdout if the config says so. Serve never blocks on their readers, and
// returns within the drain time and a few seconds.
func Serve(ctx context.Context, file Source, version string, stdout, stderr io.Writer) (err error) {
	hangup := hangups()
	seen := stamps{}
	seen.take(file.Path)
	cfg, err := file.load()
	if err != nil {
		return err
	}
	log, lines := serverLog(stderr, cfg.Log)
	flush := func() { _ = lines.Close() }
	defer flush()
	defer boundShutdown(ctx, time.Duration(cfg.Listen.Drain)+closeWithin, log, flush)()
	tracer, err := tracing.Open(ctx, version, log)
	if err != nil {
		return err
	}
	if tracer != nil {
		defer func() { _ = tracer.Close() }() // spans that cannot be sent are no reason to fail
	}
	r, err := open(ctx, cfg, version, stdout, tracer, log, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	r.lines = lines
	reloads, err := newReloader(file, cfg, seen, r, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reloads.current.Close()) }()
	if err := r.startStream(cfg.Audit.Stream, log); err != nil {
		return err
	}
	endpoints, err := r.listen(cfg, reloads, log)
	if err != nil {
		return err
	}
	r.reportDamage(log)
	r.admin.TidyHourly()
	ctx, stop := untilBroken(ctx, r.file)
	var background sync.WaitGroup
	background.Go(func() { reloads.run(ctx, hangup) })
	if r.metrics != nil {
		background.Go(func() { r.metrics.watchStores(ctx) })
	}
	if r.node != nil {
		background.Go(func() { r.node.run(ctx) })
	}
	log.Info("listening", "address", endpoints[0].Listener.Addr().String(), "version", r.version)
	reloads.notify(reloads.supervisor.ready())
	defer context.AfterFunc(ctx, func() { reloads.notify(reloads.supervisor.stopping()) })()
	limitGarbage(*cfg.Limits.MemoryBytes)
	defer collectLess()()
	err = server.Serve(ctx, time.Duration(cfg.Listen.Drain), log, endpoints...)
	stop()
	background.Wait()
	return errors.Join(r.file.Err(), err)
}

// ballast counts as live heap but is never touched, so it takes no physical memory.
// The live heap is about a megabyte, and requests allocate hundreds of megabytes a
// second. Without the ballast the garbage collector ran a hundred times a second, which
// cost a fifth of the rate of reads; with it the heap is about 20 MiB under load. A
// greater GOGC would do the same, but in a flood of connections it would let the heap
// grow to several times its live size.
const ballast = 20 << 20

// collectLess keeps the ballast allocated until letGo is called, unless GOGC is set.
func collectLess() (letGo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	b := make([]byte, ballast)
	return func() { runtime.KeepAlive(b) }
}

// besidesRequests is the memory of the process without that of requests in progress:
// caches, connections, the ballast.
const besidesRequests = 96 << 20

// limitGarbage sets Go's memory limit, unless GOMEMLIMIT is set. Without it, garbage
// could take as much memory as live objects.
func limitGarbage(requests int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(requests + besidesRequests)
	}
}

// reportDamage logs earlier damage, which does not prevent serving.
func (r *resources) reportDamage(log *slog.Logger) {
	if damage := r.file.Damage(); damage != "" {
		log.Warn("the state file was damaged; the remaining records are intact: take a backup", "damage", damage)
	}
	if err := r.audit.Check(); err != nil {
		log.Error("the audit log is damaged: see strongroom audit verify, and strongroom audit mend", "error", err)
	}
}

// listen opens the listeners of the APIs and of administration.
func (r *resources) listen(cfg *config.Config, reloads *reloader, log *slog.Logger) ([]server.Endpoint, error) {
	r.program = strongroom.Program{Version: r.version, Serving: true, Config: reloads.config, Callers: reloads.callers, Findings: reloads.findings, Stream: r.streamed, Nodes: r.node.nodes}
	administration, err := r.adminEndpoint(cfg, r.program, log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen.Address)
	if err != nil {
		return nil, errors.Join(explainListen("listen.address or --listen", cfg.Listen.Address, err), administration.Listener.Close())
	}
	apis := server.Endpoint{Listener: listener, Handler: reloads.current, Connections: cfg.Listen.Connections, Evicted: &r.evicted}
	if cfg.Listen.TLS != nil {
		apis.TLS = reloads.current.TLS
	}
	endpoints := []server.Endpoint{apis, administration}
	more, err := r.listenBeside(cfg, apis, reloads, log)
	if err != nil {
		return nil, errors.Join(err, listener.Close(), administration.Listener.Close())
	}
	return append(endpoints, more...), nil
}

// listenBeside opens the listeners of the console and of the metrics, if they have their
// own. That of the console is otherwise like that of the APIs.
func (r *resources) listenBeside(cfg *config.Config, apis server.Endpoint, reloads *reloader, log *slog.Logger) (endpoints []server.Endpoint, err error) {
	if cfg.Console != nil && cfg.Console.Address != "" {
		console := apis
		console.Handler = http.HandlerFunc(reloads.withConsole)
		if console.Listener, err = net.Listen("tcp", cfg.Console.Address); err != nil {
			return nil, explainListen("console.address", cfg.Console.Address, err)
		}
		log.Info("serving the console", "address", console.Listener.Addr().String())
		endpoints = append(endpoints, console)
	}
	if r.metrics == nil {
		return endpoints, nil
	}
	scrapes, err := r.metrics.endpoint(cfg.Metrics.Address, reloads)
	if err != nil {
		for _, e := range endpoints {
			err = errors.Join(err, e.Listener.Close())
		}
		return nil, err
	}
	log.Info("serving metrics", "address", scrapes.Listener.Addr().String())
	return append(endpoints, scrapes), nil
}

// withConsole answers a request to the listener of the console by the policy in force.
func (r *reloader) withConsole(w http.ResponseWriter, req *http.Request) {
	answered := false
	r.current.Use(func(p server.Policy) {
		answered = true
		p.(*policy).withConsole.ServeHTTP(w, req)
	})
	if !answered {
		panic(http.ErrAbortHandler) // the server has ended
	}
}

// explainListen adds a remedy to the error of a listen.
func explainListen(setting, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening on %s: another process has this address (see ss -ltnp): stop it, or choose another one with %s", address, setting)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s: ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose another one with %s", address, setting)
	}
	return fmt.Errorf("listening on %s: %w", address, err)
}

// untilBroken returns a context that also ends when a write to the state file has failed:
// only a new process can determine what is on disk.
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
