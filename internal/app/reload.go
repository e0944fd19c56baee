package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
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

// A Source is where the config is, and what the command line puts in the
// place of a part of it.
type Source struct{ Path, Listen string }

func (f Source) load() (*config.Config, error) {
	cfg, err := config.Load(f.Path)
	if err != nil || f.Listen == "" {
		return cfg, err
	}
	if err := cfg.ListenOn(f.Listen); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return cfg, nil
}

// Key implements [keyring.Source]: it is the one that the next start will take.
func (f Source) Key(ctx context.Context) (*seal.Key, error) {
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	return KeySource(cfg.State.Key).Key(ctx)
}

// A reloader keeps in force what the config file and the files that it names
// say. What is broken changes nothing.
type reloader struct {
	file      Source
	running   *config.Config // that the resources were opened for
	resources *resources
	current   *server.Current
	log       *slog.Logger
	seen      stamps // when the files were last read
	looked    stamps // at the last look

	mu     sync.Mutex // guards what follows
	status strongroom.Config
}

// newReloader puts in force what the config says. The stamps were taken
// before it was read.
func newReloader(file Source, cfg *config.Config, seen stamps, r *resources, log *slog.Logger) (*reloader, error) {
	seen.take(cfg.Files()...)
	p, err := r.newPolicy(cfg, log)
	if err == nil && !seen.still() {
		err = errors.Join(errChanging, p.Close())
	}
	if err != nil {
		return nil, err
	}
	r.admin.Key = file // whatever it says by then
	return &reloader{
		file: file, running: cfg, resources: r, current: server.NewCurrent(p, log), log: log, seen: seen,
		status: strongroom.Config{Since: time.Now()},
	}, nil
}

// hangups receives SIGHUP, which from then on does not end the process.
func hangups() <-chan os.Signal {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return hangup
}

// run reloads when a file has changed, and on a hangup in any case, until ctx is
// done.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	look, again := time.NewTicker(lookEvery), time.NewTicker(warnEvery)
	defer look.Stop()
	defer again.Stop()
	r.warn()
	for {
		select {
		case <-hangup:
			r.reload()
		case <-look.C:
			r.look()
		case <-again.C:
			r.warn()
		case <-ctx.Done():
			return
		}
	}
}

// findings are about how the config in force has the APIs served.
func (r *reloader) findings() []admin.Finding {
	return findings(r.running.Listen, r.current.TLS(), time.Now())
}

func (r *reloader) warn() { warn(r.log, r.findings()) }

// look reloads when files differ from what was last read, but only once two
// looks have found the same: a file that is being written in place is not whole
// yet, and half of it can allow more than all of it.
func (r *reloader) look() {
	now := r.seen.again()
	if now.differFrom(r.seen) && maps.Equal(now, r.looked) {
		r.reload()
	}
	r.looked = now
}

func (r *reloader) reload() {
	fields, err := r.replace()
	r.note(fields, err)
	if err != nil {
		r.log.Error("the config is broken, and what was in force stays so", "error", err)
		return
	}
	r.log.Info("the config has been reloaded")
	if len(fields) > 0 {
		r.log.Warn("some of the config takes a restart", "fields", strings.Join(fields, " "))
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

// replace puts in force what the files say now, and names the fields that take
// a restart.
func (r *reloader) replace() (fields []string, err error) {
	// Each file before it is read: what changes then is seen next time.
	r.seen.take(r.file.Path)
	cfg, err := r.file.load()
	if err != nil {
		return nil, err
	}
	fields, wrong := cfg.Keep(r.running)
	r.seen = stamps{r.file.Path: r.seen[r.file.Path]}
	r.seen.take(cfg.Files()...)
	if wrong != nil {
		return nil, fmt.Errorf("%s, with %s as before, since that takes a restart:\n%w", r.file.Path, strings.Join(fields, " "), wrong)
	}
	p, err := r.resources.newPolicy(cfg, r.log)
	if err != nil {
		return nil, err
	}
	if !r.seen.still() {
		r.seen.forget()
		return nil, errors.Join(errChanging, p.Close())
	}
	r.current.Put(p)
	return fields, nil
}

// config says how the config stands, for administrators.
func (r *reloader) config() strongroom.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}
