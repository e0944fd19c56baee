package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/strongroom/strongroom/internal/admin"
	apis "github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/api/openhands/agentserver"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/api/openhands/sandbox"
	"github.com/strongroom/strongroom/internal/api/openhands/v0"
	"github.com/strongroom/strongroom/internal/api/openhands/v1"
	"github.com/strongroom/strongroom/internal/api/vault"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// A policy is the part of the server that a reload replaces: authentication, grants,
// limits, APIs and TLS. A reload builds a new policy and switches to it at once. Parts
// that outlive a reload are in [resources].
type policy struct {
	http.Handler              // of listen.address
	withConsole  http.Handler // of console.address
	strategies
	tls       *tls.Config     // nil without TLS
	anonymous []admin.Finding // about callers without a credential
}

var _ server.Policy = (*policy)(nil)

// newPolicy builds the policy of a config.
func (r *resources) newPolicy(cfg *config.Config, log *slog.Logger) (*policy, error) {
	certificate, tlsErr := openTLS(cfg.Listen.TLS)
	s, authErr := openStrategies(cfg, &r.issuers, r.keys, &r.inForce, log)
	if err := errors.Join(tlsErr, authErr); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.start()
	common := auth.Chain{
		Failures: r.audit, Limits: limits(cfg.Limits), Budget: r.budget, Proxies: cfg.Listen.Networks(), Attempts: r.attempts(cfg.Log, log),
	}
	if r.node != nil {
		common.Fresh = func(req *http.Request) error { return r.node.fresh(req.Context()) }
	}
	front := server.NewFront(r.ready, log)
	chain := func(api string, names []string) auth.Chain {
		chain := s.chain(cfg, common, names)
		chain.FreshByOperation = true
		chain.Requests = r.observer(api, cfg.Log, log)
		return chain
	}
	withConsole := front
	if cfg.Console != nil && cfg.Console.Address != "" {
		withConsole = server.NewFront(r.ready, log)
	}
	err := errors.Join(
		r.mountConsole(withConsole, cfg, s, common, certificate, log), // first: the last one gets all other paths
		r.mountAPIs(front, cfg, chain, log),
	)
	if withConsole != front {
		withConsole.Mount("", front)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if document := signInDocument(cfg.Auth); document != nil {
		front.Publish(signInPath, document)
	}
	return &policy{front, withConsole, s, certificate, anonymousFindings(cfg.Auth)}, nil
}

// TLS implements [server.Policy].
func (p *policy) TLS() *tls.Config { return p.tls }

func limits(l config.Limits) *auth.Limits {
	return auth.NewLimits(auth.Rate(l.Requests), auth.Rate(*l.Denials), auth.Rate(*l.Failures))
}

// chains builds the authentication chain of an API from the names of its strategies.
type chains func(api string, names []string) auth.Chain

// mountAPIs serves the APIs.
func (r *resources) mountAPIs(front *server.Front, cfg *config.Config, chain chains, log *slog.Logger) error {
	if cfg.APIs.Vault != nil {
		if err := r.mountVault(front, cfg, chain, log); err != nil {
			return fmt.Errorf("apis.vault: %w", err)
		}
	}
	if api := cfg.APIs.Nx1; api != nil {
		service := r.service(api.Store)
		h, err := nx1.New(service, nx1Options(api), chain("nx1", api.Auth), log)
		if err != nil {
			return fmt.Errorf("apis.nx1: %w", err)
		}
		front.Mount("/api/app", h)
		front.Publish("/openapi/nx1.json", specs.Nx1)
	}
	if cfg.APIs.OpenHands != nil {
		if err := r.mountOpenHands(front, cfg, chain, log); err != nil {
			return fmt.Errorf("apis.openhands: %w", err)
		}
	}
	return nil
}

// mountVault serves the secrets of the other APIs to Vault's clients.
func (r *resources) mountVault(front *server.Front, cfg *config.Config, chain chains, log *slog.Logger) error {
	options := vault.Options{Mount: cfg.APIs.Vault.Mount, Secrets: map[string]*secret.Service{}}
	if api := cfg.APIs.OpenHands; api != nil {
		options.Secrets[secret.KindUser] = r.service(api.Store)
	}
	if api := cfg.APIs.Nx1; api != nil {
		options.Secrets[secret.KindApp] = r.service(api.Store)
	}
	h, err := vault.New(options, chain("vault", cfg.APIs.Vault.Auth), log)
	if err != nil {
		return err
	}
	front.Mount("/v1", h)
	front.PublishHealth(vault.HealthPath, vault.Health)
	front.Publish("/openapi/vault.json", specs.Vault)
	return nil
}

// service returns the secret service of a store.
func (r *resources) service(store string) *secret.Service {
	var hooks secret.Hooks
	if r.metrics != nil {
		hooks.Attempted = r.metrics.attempted
	}
	if r.tracer != nil {
		hooks.Performing = r.operation
	}
	return secret.NewObservedService(r.stores[store], r.audit, hooks)
}

// mountOpenHands serves custom secrets through all of OpenHands' APIs. That of 0.53.0
// comes last, so that it answers all remaining paths.
func (r *resources) mountOpenHands(front *server.Front, cfg *config.Config, chain chains, log *slog.Logger) error {
	api, suspicious := cfg.APIs.OpenHands, apis.SuspiciousValues(cfg.APIs.OpenHands.SuspiciousValues)
	service := r.service(api.Store)
	for _, surface := range []struct {
		config.Surface
		name, prefix string
		document     []byte
		new          func(auth.Chain) (http.Handler, error)
	}{
		{api.AgentServer, "agentserver", "/api/settings/secrets", specs.AgentServer, func(c auth.Chain) (http.Handler, error) {
			return agentserver.New(service, agentserver.Options{Suspicious: suspicious, Profiles: profiles(api)}, c, log)
		}},
		{api.Sandboxes, "sandbox", "/api/v1/sandboxes", specs.Sandbox, func(c auth.Chain) (http.Handler, error) {
			return sandbox.New(service, profiles(api), c, log)
		}},
		// All other V1 paths too: their clients send V1's credentials.
		{api.V1, "openhandsv1", "/api/v1", specs.OpenHandsV1, func(c auth.Chain) (http.Handler, error) {
			return v1.New(service, suspicious, c, log)
		}},
	} {
		if surface.Disabled {
			continue
		}
		h, err := surface.new(chain(surface.name, surface.Auth))
		if err != nil {
			return fmt.Errorf("%s: %w", surface.name, err)
		}
		front.Mount(surface.prefix, server.CORS(api.Origins, h))
		front.Publish("/openapi/"+surface.name+".json", surface.document)
	}
	h, err := v0.New(service, v0.Options{EnvNames: api.Names == "env", Suspicious: suspicious}, chain("openhands", api.Auth), log)
	if err != nil {
		return err
	}
	front.Mount("/api/secrets", server.CORS(api.Origins, h))
	front.Publish("/openapi/openhands.json", specs.OpenHands)
	return nil
}

func profiles(api *config.OpenHands) custom.Profiles {
	profiles := custom.Profiles{}
	for id, p := range api.Profiles {
		profiles[id] = custom.Profile{User: p.User, Names: p.Names}
	}
	return profiles
}

func nx1Options(api *config.Nx1) nx1.Options {
	return nx1.Options{Masked: nx1.MaskedValues(api.MaskedValues), Suspicious: apis.SuspiciousValues(api.SuspiciousValues)}
}
