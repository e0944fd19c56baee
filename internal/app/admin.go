package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/peer"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/server"
)

// DialAdmin connects to the administration socket of the process that has the state
// file open. Through a symbolic link in its directory, root reaches only sockets that
// the owner of the state file could reach too.
func DialAdmin(ctx context.Context, cfg *config.Config) (conn net.Conn, err error) {
	owner, err := safefile.OwnerOf(cfg.State.File())
	if err != nil {
		return nil, err
	}
	err = owner.Do(func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, "unix", AdminSocket(cfg))
		return err
	})
	return conn, err
}

// AdminSocket returns the path of the administration socket, beside the state file or the
// cache of the database.
func AdminSocket(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(safefile.Follow(cfg.State.File())), "admin.sock")
}

// maxSocketPath is the kernel's limit (unix(7)), without the terminating NUL.
const maxSocketPath = 107

// adminEndpoint serves administration on the socket.
func (r *resources) adminEndpoint(cfg *config.Config, program strongroom.Program, log *slog.Logger) (server.Endpoint, error) {
	chain := auth.Chain{Without: peer.Strategy{}, Failures: r.audit, Requests: r.observer("strongroom", cfg.Log, log)}
	if r.node != nil {
		chain.Fresh = r.node.freshForAdministration
	}
	api, err := strongroom.New(r.admin, program, chain, log)
	if err != nil {
		return server.Endpoint{}, fmt.Errorf("administration: %w", err)
	}
	path := AdminSocket(cfg)
	if len(path) > maxSocketPath {
		return server.Endpoint{}, fmt.Errorf("administration: %s has %d bytes, but the path of a socket may have at most %d: choose a shorter state.path or state.postgres.cache",
			path, len(path), maxSocketPath)
	}
	listener, err := r.listenOn(path)
	if err != nil {
		return server.Endpoint{}, fmt.Errorf("administration: %w", err)
	}
	return server.Endpoint{Listener: listener, Handler: api, ConnContext: peer.ConnContext, Patient: true}, nil
}

// listenOn opens a socket and replaces one left by a crash. The lock on the state file
// ensures that no other process uses it.
func (r *resources) listenOn(path string) (net.Listener, error) {
	l := ownedListener{path: path, owner: r.file.Owner()}
	err := l.owner.Do(func() (err error) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if l.UnixListener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // Close would unlink it with the rights of the process
		if err := os.Chmod(path, 0o600); err != nil {
			return errors.Join(err, l.UnixListener.Close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// An ownedListener removes its socket as the owner of the state file.
type ownedListener struct {
	*net.UnixListener
	path   string
	owner  safefile.User
	closed sync.Once
}

func (l *ownedListener) Close() error {
	l.closed.Do(func() { _ = l.owner.Do(func() error { return os.Remove(l.path) }) })
	return l.UnixListener.Close()
}

// WithoutServer opens the state file and serves administration on the socket while do
// runs. Warnings and anchors go to stderr, because standard output belongs to the
// command.
func WithoutServer(ctx context.Context, cfg *config.Config, version string, stderr io.Writer, do func(context.Context) error) (err error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r, err := open(ctx, cfg, version, stderr, nil, log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// Finish an interrupted resealing first; until then the keyring cannot change.
	if err := r.admin.WaitForReseal(ctx); err != nil {
		return err
	}
	now := time.Now()
	program := strongroom.Program{
		Version: r.version,
		Config:  func() strongroom.Config { return strongroom.Config{Since: now} },
		Callers: func(ctx context.Context, credential string) ([]strongroom.Known, error) {
			s, err := openStrategies(cfg, &r.issuers, r.keys, nil, log)
			if err != nil {
				return nil, err
			}
			return s.known(ctx, credential), s.Close()
		},
		Findings: func(ctx context.Context) []admin.Finding { return append(findingsOf(cfg), r.node.findings(ctx)...) },
		Stream:   r.streamed,
		Nodes:    r.node.nodes,
	}
	endpoint, err := r.adminEndpoint(cfg, program, log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, time.Second, log, endpoint) }()
	err = do(ctx)
	if err == nil {
		// No other process would continue these.
		err = errors.Join(r.admin.WaitForReseal(ctx), r.admin.WaitForPurge(ctx))
	}
	stop()
	return errors.Join(err, <-ended)
}
