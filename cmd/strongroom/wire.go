package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/api/openhands"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/anonymous"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/specs"
)

// resources are what a process opens once: the state file and all that is kept
// in it, the stores, and the office that administers them.
type resources struct {
	file     *state.File
	audit    *audit.Log
	anchorer *audit.Anchorer // nil if the log is not anchored
	office   *admin.Office
	stores   map[string]secret.Store
}

// open opens what the config describes; anchors go to stdout if the config has
// them go to standard output.
func open(ctx context.Context, cfg *config.Config, stdout io.Writer, log *slog.Logger) (*resources, error) {
	file, err := state.Open(cfg.State.Path)
	if errors.Is(err, state.ErrMissing) {
		return nil, fmt.Errorf("state.path: %w: make one with strongroom init, or put it back from a backup", err)
	}
	if err != nil {
		return nil, fmt.Errorf("state.path: %w", err)
	}
	keys, err := keyring.Open(ctx, file, keySource(cfg.State.Key))
	if errors.Is(err, seal.ErrWrongKey) {
		err = fmt.Errorf("state.key: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	ring := keys.Ring()
	r := &resources{file: file, stores: map[string]secret.Store{}}
	r.audit = audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	if r.anchorer, err = anchor(cfg.Audit.Anchor, r.audit, stdout, log); err != nil {
		return nil, errors.Join(err, r.audit.Close(), file.Close())
	}
	parts := admin.Parts{File: file, Audit: r.audit, Keyring: keys, Stores: map[string]*bolt.Store{}, Retention: cfg.Audit.Retention}
	for name, s := range cfg.Stores {
		parts.Stores[name] = bolt.Open(file, name, ring, r.audit, bolt.Options{
			Versions: *s.Bolt.Versions, DeletedFor: *s.Bolt.DeletedFor, PastBytes: *s.Bolt.PastBytes,
		})
		r.stores[name] = parts.Stores[name]
	}
	r.office = admin.Open(parts, log)
	return r, nil
}

// anchor keeps the head of the audit log outside, where the config wants it
// to, and makes sure that the log still holds what was anchored before.
func anchor(to *config.Anchor, l *audit.Log, stdout io.Writer, log *slog.Logger) (*audit.Anchorer, error) {
	switch {
	case to == nil:
		return nil, nil
	case to.Stdout:
		return audit.AnchorTo(l, stdout, log), nil
	}
	a, err := audit.AnchorToFile(l, to.File, log)
	if err != nil {
		return nil, fmt.Errorf("audit.anchor.file: %w", err)
	}
	return a, nil
}

// A keySource is where the config says that the key-encryption key is, and
// names the field that said so.
type keySource config.Key

// Key implements [keyring.Source].
func (from keySource) Key(ctx context.Context) (*seal.Key, error) {
	field, source := from.field()
	key, err := source.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("state.key.%s: %w", field, err)
	}
	return key, nil
}

func (from keySource) field() (name string, source keyring.Source) {
	switch {
	case from.Env != "":
		return "env", keyring.FromEnv(from.Env)
	case from.Credential != "":
		return "credential", keyring.FromCredential(from.Credential)
	default:
		return "file", keyring.FromFile(from.File)
	}
}

// Close closes what was opened, the last first.
func (r *resources) Close() error {
	errs := []error{r.office.Close()}
	for _, s := range r.stores {
		errs = append(errs, s.Close())
	}
	errs = append(errs, r.audit.Close())
	if r.anchorer != nil {
		errs = append(errs, r.anchorer.Close()) // with what the log has just been closed with
	}
	return errors.Join(append(errs, r.file.Close())...)
}

// handler is what the listener serves: the APIs on the resources, under the
// policy that the config sets.
func (r *resources) handler(cfg *config.Config, log *slog.Logger) (http.Handler, error) {
	strategies, err := openStrategies(cfg)
	if err != nil {
		return nil, err
	}
	front := server.NewFront(r.ready, log)
	if api := cfg.APIs.Nx1; api != nil {
		service := secret.NewService(r.stores[api.Store], r.audit)
		h, err := nx1.New(service, nx1.Options{Masked: nx1.MaskedValues(api.MaskedValues)}, r.chain(cfg, strategies, api.Auth), log)
		if err != nil {
			return nil, fmt.Errorf("apis.nx1: %w", err)
		}
		front.Mount("/api/app", h)
		front.Publish("/openapi/nx1.json", specs.Nx1)
	}
	if api := cfg.APIs.OpenHands; api != nil {
		service := secret.NewService(r.stores[api.Store], r.audit)
		h, err := openhands.New(service, openhands.Options{EnvNames: api.Names == "env"}, r.chain(cfg, strategies, api.Auth), log)
		if err != nil {
			return nil, fmt.Errorf("apis.openhands: %w", err)
		}
		front.Mount("/api/secrets", h)
		front.Publish("/openapi/openhands.json", specs.OpenHands)
	}
	return front, nil
}

func (r *resources) ready(ctx context.Context) error {
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

// openStrategies makes the strategies that the config names, and returns every
// mistake in their keys files at once.
func openStrategies(cfg *config.Config) (map[string]auth.Strategy, error) {
	strategies := map[string]auth.Strategy{}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Auth)) { // always the same order of mistakes
		s := cfg.Auth[name]
		switch {
		case s.Anonymous != nil:
			strategies[name] = anonymous.New(s.Anonymous.User)
		case s.APIKey != nil:
			keys, err := readKeys(s.APIKey.KeysFile)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("auth.%s.api_key.keys_file: %w", name, err))
			}
			strategies[name] = apikey.New(s.APIKey.Header, keys)
		}
	}
	return strategies, errors.Join(wrong...)
}

// chain is how an API's callers are known: by these strategies, in this order.
func (r *resources) chain(cfg *config.Config, strategies map[string]auth.Strategy, names []string) auth.Chain {
	chain := auth.Chain{Failures: r.audit}
	for _, name := range names {
		if cfg.Auth[name].Anonymous != nil {
			chain.Without = strategies[name]
		} else {
			chain.Strategies = append(chain.Strategies, strategies[name])
		}
	}
	return chain
}
