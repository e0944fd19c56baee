// Package app opens and wires the parts that a config file describes.
//
// Start reading at resources.go and policy.go. [resources] are the parts that a
// process opens once: the state file, the audit log, the stores. A [policy] is
// the part that a reload replaces: authentication, limits, APIs, TLS.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/logging"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/tracing"
)

// resources are the parts that a process opens once: the state file and everything in it,
// the stores, and the admin service. The parts that a reload can change are in a
// [policy], which uses these.
type resources struct {
	version  string // of the program
	file     *state.File
	node     *node // nil with a state file
	audit    *audit.Log
	keys     *issued.Keys      // that were issued
	sessions *session.Sessions // of the console
	anchorer *audit.Anchorer   // nil if the log is not anchored
	stream   *streaming        // nil if the log is not sent elsewhere
	admin    *admin.Service
	program  strongroom.Program // for administrators; set before the first request
	stores   map[string]secret.Store
	issuers  oidc.KeySets    // of all OIDC strategies
	inForce  apikey.InForce  // API keys of the current policy's files
	budget   *auth.Budget    // for the memory of requests in flight
	metrics  *meter          // nil if no metrics are served
	tracer   *tracing.Tracer // nil without traces
	lines    *logging.Queue  // in front of the log; nil without a server
	evicted  atomic.Uint64   // connections closed at their limit
}

// open opens the parts that only a restart changes. Anchors go to stdout if the config
// says so. The tracer may be nil. With altered, it also opens a state file with rows that
// Strongroom has not written, which can only be read and mended.
func open(ctx context.Context, cfg *config.Config, version string, stdout io.Writer, tracer *tracing.Tracer, log *slog.Logger, altered bool) (*resources, error) {
	file, keys, n, err := openState(ctx, cfg, version, altered, log)
	if err != nil {
		return nil, err
	}
	if backup := file.Upgraded(); backup != "" {
		log.Info("the state file has a new format", "format", state.FormatVersion, "backup of the old one", backup)
	}
	ring := keys.Ring()
	r := &resources{
		version: version, file: file, node: n, tracer: tracer, stores: map[string]secret.Store{}, budget: auth.NewBudget(*cfg.Limits.MemoryBytes),
	}
	accesses := lastaccess.Open(file, ring)
	r.audit = openLog(file, ring, accesses.Follow)
	r.setAudit(cfg)
	r.traceState()
	if cfg.Metrics != nil {
		r.metrics = r.newMeter()
	}
	if r.anchorer, err = anchor(cfg.Audit.Anchor, r.audit, stdout, log); err != nil {
		return nil, errors.Join(err, r.audit.Close(), file.Close())
	}
	if r.keys, err = issued.Open(file, ring, r.audit, issued.SystemClock(), log); err != nil {
		return nil, errors.Join(fmt.Errorf("issued keys: %w", err), r.closeLog(), file.Close())
	}
	r.sessions = session.Open(file, ring, r.audit)
	parts := admin.Parts{
		File: file, Audit: r.audit, Keys: r.keys, Sessions: r.sessions, LastAccess: accesses, Keyring: keys, KeySource: KeySource(cfg.State.Key), Retention: time.Duration(cfg.Audit.Retention), Clock: issued.SystemClock(), Duties: r.duties(),
		Stores: map[string]*bolt.Store{}, Elsewhere: map[string]secret.Store{},
	}
	for name, s := range cfg.Stores {
		if s.Kubernetes == nil {
			parts.Stores[name] = bolt.Open(file, name, ring, r.audit, bolt.Options{
				Versions: *s.Bolt.Versions, DeletedFor: time.Duration(*s.Bolt.DeletedFor), PastBytes: *s.Bolt.PastBytes,
			})
			r.stores[name] = parts.Stores[name]
			continue
		}
		st, err := openKubernetes(s.Kubernetes, version, tracer)
		if err != nil {
			err = fmt.Errorf("stores.%s.kubernetes: %w", name, err)
			return nil, errors.Join(err, r.closeStores(), r.keys.Close(), r.closeLog(), file.Close())
		}
		parts.Elsewhere[name], r.stores[name] = st, st
	}
	r.admin = admin.Open(parts, log)
	return r, nil
}

// duties returns how this process shares work with other nodes.
func (r *resources) duties() admin.Duties {
	if r.node == nil {
		return admin.Alone{}
	}
	return r.node
}

func (r *resources) setAudit(cfg *config.Config) {
	if p := cfg.State.Postgres; p != nil {
		r.audit.SetNode(p.Node)
	}
	if cfg.Audit.Stream != nil {
		r.audit.KeepUnsent(destination(cfg.Audit.Stream).ID)
	}
	if cfg.Audit.ValueReads == "written" {
		r.audit.WriteValueReads()
	}
}

func openLog(file *state.File, ring *seal.Ring, followers ...audit.Follower) *audit.Log {
	return audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"), followers...)
}

// openKubernetes does not connect yet, so an unreachable cluster does not prevent the
// start.
func openKubernetes(k *config.Kubernetes, version string, tracer *tracing.Tracer) (*kubernetes.Store, error) {
	cluster, err := kubernetes.InCluster()
	if k.Kubeconfig != "" {
		cluster, err = kubernetes.FromKubeconfig(k.Kubeconfig, k.Context)
	}
	if err != nil {
		return nil, err
	}
	return kubernetes.Open(cluster, kubernetes.Options{
		Namespace: k.Namespace, Timeout: time.Duration(k.Timeout), UserAgent: "strongroom/" + version, Trace: clusterRequest(tracer),
	})
}

// anchor opens the configured anchor of the audit log and checks that the log still
// contains the anchored head.
func anchor(to *config.Anchor, l *audit.Log, stdout io.Writer, log *slog.Logger) (*audit.Anchorer, error) {
	switch {
	case to == nil:
		return nil, nil
	case to.Stdout:
		return audit.AnchorTo(l, stdout, log), nil
	}
	a, err := audit.AnchorToFile(l, to.File, log)
	switch {
	case errors.Is(err, audit.ErrRolledBack):
		return nil, fmt.Errorf("audit.anchor.file: %w; if this is expected, as after a restore, move %s away to begin a new anchor", err, to.File)
	case err != nil:
		return nil, fmt.Errorf("audit.anchor.file: %w", err)
	}
	return a, nil
}

// A KeySource reads the key-encryption key from the configured place. Its errors name
// the field of the config.
type KeySource config.KeySource

// Key implements [keyring.Source].
func (from KeySource) Key(ctx context.Context) (*seal.Key, error) {
	field, source := from.field()
	key, err := source.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("state.key.%s: %w", field, err)
	}
	return key, nil
}

func (from KeySource) field() (name string, source keyring.Source) {
	switch {
	case from.Env != "":
		return "env", keyring.FromEnv(from.Env)
	case from.Credential != "":
		return "credential", keyring.FromCredential(from.Credential)
	default:
		return "file", keyring.FromFile(from.File)
	}
}

// Close closes all parts in reverse order.
func (r *resources) Close() error {
	return errors.Join(r.admin.Close(), r.closeStores(), r.keys.Close(), r.closeLog(), r.file.Close())
}

func (r *resources) closeLog() error {
	err := r.audit.Close()
	if r.stream != nil {
		err = errors.Join(err, r.stream.Close()) // after the log's last entry
	}
	if r.anchorer != nil {
		err = errors.Join(err, r.anchorer.Close()) // after the log's last entry
	}
	return err
}

func (r *resources) closeStores() error {
	var errs []error
	for _, s := range r.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (r *resources) ready(ctx context.Context) error {
	if err := r.node.fresh(ctx); err != nil {
		return err
	}
	if err := r.audit.Check(); err != nil {
		return err
	}
	if r.anchorer != nil {
		if err := r.anchorer.Err(); err != nil {
			return fmt.Errorf("anchoring the audit log: %w", err)
		}
	}
	for name, s := range r.stores {
		if err := s.Check(ctx); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}
