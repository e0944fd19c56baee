package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// Check returns all errors in the keys, certificates and kubeconfigs that the config
// names. If there are none, it returns warnings. It uses no network and needs no state
// file. A systemd credential is checked only if systemd has passed it.
func Check(ctx context.Context, cfg *config.Config) (warnings []string, err error) {
	_, keyErr := KeySource(cfg.State.Key).Key(ctx)
	if errors.Is(keyErr, keyring.ErrNoCredential) {
		warnings, keyErr = append(warnings, "not checked: "+keyErr.Error()), nil
	}
	plain, databaseErr := checkDatabase(cfg.State.Postgres)
	_, tlsErr := openTLS(cfg.Listen.TLS)
	s, authErr := openStrategies(cfg, &oidc.KeySets{}, nil, nil, slog.New(slog.DiscardHandler))
	_, clientErr := openClients(cfg.Console, s.oidc)
	if err := errors.Join(keyErr, databaseErr, tlsErr, checkKubeconfigs(cfg), checkStream(cfg.Audit.Stream), authErr, clientErr, s.Close()); err != nil {
		return nil, err
	}
	if plain {
		warnings = append(warnings, "state.postgres.url_file: "+plainURL)
	}
	for _, f := range findingsOf(cfg) {
		if f.Warns() {
			warnings = append(warnings, f.About+": "+f.Text)
		}
	}
	return warnings, nil
}

// checkDatabase checks the URL, unless it is in a variable, which may be set for the server
// only. It reports whether the URL is plain.
func checkDatabase(p *config.Postgres) (plain bool, err error) {
	if p == nil || p.URLEnv != "" {
		return false, nil
	}
	url, err := databaseURL(p)
	if err != nil {
		return false, err
	}
	if plain, err = postgres.CheckURL(string(url)); err != nil {
		return false, fmt.Errorf("state.postgres.url_file: %w", err)
	}
	return plain, nil
}

// checkKubeconfigs does not connect to a cluster, and does not check for in-cluster
// credentials, because a config may be checked on another machine.
func checkKubeconfigs(cfg *config.Config) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Stores)) {
		k := cfg.Stores[name].Kubernetes
		if k == nil || k.Kubeconfig == "" {
			continue
		}
		st, err := openKubernetes(k, "", nil)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("stores.%s.kubernetes: %w", name, err))
			continue
		}
		wrong = append(wrong, st.Close())
	}
	return errors.Join(wrong...)
}
