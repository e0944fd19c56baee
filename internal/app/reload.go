package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/server"
)

// A Source is the path of the config, and the command line's overrides.
type Source struct{ Path, Listen, Metrics string }

func (f Source) load() (*config.Config, error) {
	cfg, err := config.Load(f.Path)
	if err != nil {
		return nil, err
	}
	if f.Listen != "" {
		if err := cfg.ListenOn(f.Listen); err != nil {
			return nil, fmt.Errorf("--listen: %w", err)
		}
	}
	if f.Metrics != "" {
		if err := cfg.ServeMetricsOn(f.Metrics); err != nil {
			return nil, fmt.Errorf("--metrics: %w", err)
		}
	}
	return cfg, nil
}

// Key implements [keyring.Source]. It returns the key that the next start will use.
func (f Source) Key(ctx context.Context) (*seal.Key, error) {
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	return KeySource(cfg.State.Key).Key(ctx)
}

// A reloader applies changes of the config file and of the files that it names. A broken
// file changes nothing.
type reloader struct {
	file      Source
	running   *config.Config // the config that the resources were opened with
	resources *resources
	current   *server.Current
	log       *slog.Logger
	seen      stamps // when the files were last read
	polled    stamps // at the last poll

	supervisor supervisor

	mu     sync.Mutex // guards the fields below
	status strongroom.Config
}

// newReloader applies the config. The stamps were taken before it was read.
func newReloader(file Source, cfg *config.Config, seen stamps, r *resources, log *slog.Logger) (*reloader, error) {
	seen.take(cfg.Files()...)
	p, err := r.newPolicy(cfg, log)
	if err == nil && !seen.unchanged() {
		err = errors.Join(errChanging, p.Close())
	}
	if err != nil {
		return nil, err
	}
	r.inForce.Put(p.apiKeys)
	r.admin.KeySource = file // read at the time of use
	return &reloader{
		file: file, running: cfg, resources: r, current: server.NewCurrent(p, log), log: log, seen: seen,
		supervisor: newSupervisor(),
		status:     strongroom.Config{Since: time.Now()},
	}, nil
}

// hangups receives SIGHUP, which no longer ends the process.
func hangups() <-chan os.Signal {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return hangup
}

// run reloads when a file has changed, and always on SIGHUP, until ctx is done.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	poll, repeat := time.NewTicker(pollInterval), time.NewTicker(warnEvery)
	defer poll.Stop()
	defer repeat.Stop()
	r.warn()
	for {
		select {
		case <-hangup:
			r.reload()
		case <-poll.C:
			r.poll()
		case <-repeat.C:
			r.warn()
		case <-ctx.Done():
			return
		}
	}
}

// findings returns the findings of the current config.
func (r *reloader) findings(ctx context.Context) []admin.Finding {
	found := slices.Concat(r.transport(), r.resources.streamFindings(), r.resources.node.findings(ctx))
	r.current.Use(func(p server.Policy) {
		if p, ok := p.(*policy); ok {
			found = append(found, p.anonymous...)
		}
	})
	return found
}

// transport returns the findings about certificate and encryption.
func (r *reloader) transport() []admin.Finding {
	return findings(r.running, r.current.TLS(), time.Now())
}

// warn logs warnings about the transport. Anonymous callers were configured on purpose, so
// only doctor, status and config check mention them.
func (r *reloader) warn() { warn(r.log, append(r.transport(), r.resources.node.transport()...)) }

// poll reloads when files have changed since they were last read, but only after two
// polls found the same content: a file that is being written in place is incomplete, and
// a part of it can allow more than the whole.
func (r *reloader) poll() {
	now := r.seen.retaken()
	if now.differFrom(r.seen) && maps.Equal(now, r.polled) {
		r.reload()
	}
	r.polled = now
}

// notify logs a failure to notify systemd, which does not prevent serving.
func (r *reloader) notify(err error) {
	if err != nil {
		r.log.Error("systemd could not be notified", "error", err)
	}
}

func (r *reloader) reload() {
	r.notify(r.supervisor.reloading())
	defer func() { r.notify(r.supervisor.ready()) }()
	fields, err := r.replace()
	r.note(fields, err)
	if err != nil {
		r.log.Error("the config is invalid; the previous one stays in force", "error", err)
		return
	}
	r.log.Info("the config has been reloaded")
	if len(fields) > 0 {
		r.log.Warn("some changes to the config need a restart", "fields", strings.Join(fields, " "))
	}
	r.warn()
}

// note keeps the outcome of a reload for administrators.
func (r *reloader) note(fields []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.Problem = err; err == nil {
		r.status.Since, r.status.NeedsRestart = time.Now(), fields
	}
}

// replace applies the current files and returns the fields that need a restart.
func (r *reloader) replace() (fields []string, err error) {
	// Stamp each file before it is read, so that the next poll notices a later change.
	r.seen.take(r.file.Path)
	cfg, err := r.file.load()
	if err != nil {
		return nil, err
	}
	fields, wrong := cfg.Keep(r.running)
	r.seen = stamps{r.file.Path: r.seen[r.file.Path]}
	r.seen.take(cfg.Files()...)
	if wrong != nil {
		return nil, fmt.Errorf("%s, without the changes to %s, which need a restart:\n%w", r.file.Path, strings.Join(fields, " "), wrong)
	}
	p, err := r.resources.newPolicy(cfg, r.log)
	if err != nil {
		return nil, err
	}
	if !r.seen.unchanged() {
		r.seen.invalidate()
		return nil, errors.Join(errChanging, p.Close())
	}
	r.resources.inForce.Put(p.apiKeys) // first, so that every key of the new policy is in it
	r.current.Put(p)
	return fields, nil
}

// config returns the status of the config for administrators.
func (r *reloader) config() strongroom.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}
