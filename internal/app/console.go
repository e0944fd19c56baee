package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"

	"github.com/google/uuid"

	apis "github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/console"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// mountConsole serves the console and the documentation of the APIs, if the config has one.
func (r *resources) mountConsole(front *server.Front, cfg *config.Config, s strategies, common auth.Chain, certificate *tls.Config, log *slog.Logger) error {
	if cfg.Console == nil {
		return nil
	}
	options := console.Options{
		Chain: common, Kinds: r.kinds(cfg), Sessions: r.sessions, LastAccess: r.admin.LastAccess.Last, Agents: r.keys, Audit: r.audit, Server: r.describe, Backup: r.admin.Backup,
		Named: named(cfg.Console, certificate), URL: cfg.Console.URL, TLS: certificate != nil, Documents: documents(cfg),
	}
	for _, name := range cfg.Console.Auth {
		options.APIKeys = append(options.APIKeys, console.APIKeys{Name: name, Strategy: s.apiKeys[name]})
	}
	var err error
	if options.Issuers, err = openClients(cfg.Console, s.oidc); err != nil {
		return err
	}
	h, err := console.New(options, log)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	r.admin.FindPast() // for the time of the last backup
	front.Mount("/console", h)
	front.Mount("/docs", h)
	return nil
}

// openClients returns the issuers at which people can sign in, by the names of their
// strategies. Mistakes have the paths of their fields.
func openClients(c *config.Console, strategies map[string]*oidc.Strategy) (issuers []console.Issuer, err error) {
	if c == nil {
		return nil, nil
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(c.OIDC)) {
		o := c.OIDC[name]
		options := oidc.ClientOptions{ID: o.ClientID, Scopes: o.Scopes, AuthURL: o.AuthorizationURL, TokenURL: o.TokenURL}
		if !slices.Contains(options.Scopes, "openid") {
			options.Scopes = append([]string{"openid"}, options.Scopes...)
		}
		if o.ClientSecretFile != "" {
			text, err := safefile.ReadPrivate(o.ClientSecretFile)
			if err == nil && len(bytes.TrimSpace(text)) == 0 {
				err = fmt.Errorf("%s is empty", o.ClientSecretFile)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("console.oidc.%s.client_secret_file: %w", name, err))
				continue
			}
			options.Secret = secret.Value(bytes.TrimSpace(text))
		}
		issuers = append(issuers, console.Issuer{Name: name, Label: o.Label, Client: oidc.NewClient(strategies[name], options)})
	}
	return issuers, errors.Join(wrong...)
}

// kinds returns the kinds of owners that the APIs serve, with the rules of each API.
func (r *resources) kinds(cfg *config.Config) (kinds []console.Kind) {
	if api := cfg.APIs.OpenHands; api != nil {
		kind := console.Kind{
			Kind: secret.KindUser, Secrets: r.service(api.Store), OnlyKey: custom.ValueKey,
			CheckOwner: func(string) error { return nil }, CheckName: secret.CheckName, Suspicious: apis.SuspiciousValues(api.SuspiciousValues),
		}
		if api.Names == "env" {
			kind.CheckName = custom.CheckEnvName
		}
		kinds = append(kinds, kind)
	}
	if api := cfg.APIs.Nx1; api != nil {
		kinds = append(kinds, console.Kind{
			Kind: secret.KindApp, Secrets: r.service(api.Store),
			CheckOwner: checkApp, CheckName: nx1.CheckName, Suspicious: apis.SuspiciousValues(api.SuspiciousValues),
		})
	}
	return kinds
}

func checkApp(id string) error {
	if err := uuid.Validate(id); err != nil || len(id) != 36 {
		return &secret.InvalidError{Field: "owner", Reason: "must be app/ and a UUID with hyphens"}
	}
	return nil
}

// named returns a function that reports whether host is a name of this server, from the
// config or the certificate.
func named(c *config.Console, certificate *tls.Config) func(host string) bool {
	own, _ := url.Parse(c.URL) // Load has reported an error
	return func(host string) bool {
		if slices.Contains(c.Hosts, host) || (c.URL != "" && host == own.Hostname()) {
			return true
		}
		return certificate != nil && certificate.Certificates[0].Leaf.VerifyHostname(host) == nil
	}
}

// describe describes the server to its administrators.
func (r *resources) describe(ctx context.Context, check bool) (console.Server, error) {
	c := r.program.Config()
	s := console.Server{
		Version: r.version, State: r.file.ID(), Stores: r.admin.StoreNames(), Keyring: r.admin.KeyringNow(), LastBackup: r.admin.LastBackup(), Since: c.Since, NeedsRestart: c.NeedsRestart,
		Nodes: r.node.nodes(ctx),
	}
	if c.Problem != nil {
		s.Problem = c.Problem.Error()
	}
	if check {
		findings, err := r.admin.Examine(ctx)
		s.Findings = append(findings, r.program.Findings(ctx)...)
		return s, err
	}
	for _, f := range slices.Concat(r.admin.ClockFindings(), r.admin.KeyFindings(ctx), r.program.Findings(ctx)) {
		if f.Warns() {
			s.Findings = append(s.Findings, f)
		}
	}
	return s, nil
}

// documents returns the documents of the served APIs.
func documents(cfg *config.Config) (all []console.Document) {
	if cfg.APIs.Nx1 != nil {
		all = append(all, console.Document{Name: "nx1", JSON: specs.Nx1})
	}
	if api := cfg.APIs.OpenHands; api != nil {
		all = append(all, console.Document{Name: "openhands", JSON: specs.OpenHands})
		for _, more := range []struct {
			surface config.Surface
			console.Document
		}{
			{api.AgentServer, console.Document{Name: "agentserver", JSON: specs.AgentServer}},
			{api.V1, console.Document{Name: "openhandsv1", JSON: specs.OpenHandsV1}},
			{api.Sandboxes, console.Document{Name: "sandbox", JSON: specs.Sandbox}},
		} {
			if !more.surface.Disabled {
				all = append(all, more.Document)
			}
		}
	}
	if cfg.APIs.Vault != nil {
		all = append(all, console.Document{Name: "vault", JSON: specs.Vault})
	}
	return all
}
