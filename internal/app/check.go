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
)

// Check returns every mistake in the keys, certificates and kubeconfigs that the
// config names. It asks nothing over the network and needs no state file.
func Check(ctx context.Context, cfg *config.Config) error {
	_, keyErr := KeySource(cfg.State.Key).Key(ctx)
	_, tlsErr := openTLS(cfg.Listen.TLS)
	s, authErr := openStrategies(cfg, &oidc.KeySets{}, nil, slog.New(slog.DiscardHandler))
	return errors.Join(keyErr, tlsErr, checkKubeconfigs(cfg), authErr, s.Close())
}

// checkKubeconfigs asks no cluster. Whether we are in one is not to be known
// here: a config may be checked elsewhere.
func checkKubeconfigs(cfg *config.Config) error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Stores)) {
		k := cfg.Stores[name].Kubernetes
		if k == nil || k.Kubeconfig == "" {
			continue
		}
		st, err := openKubernetes(k, "")
		if err != nil {
			wrong = append(wrong, fmt.Errorf("stores.%s.kubernetes: %w", name, err))
			continue
		}
		wrong = append(wrong, st.Close())
	}
	return errors.Join(wrong...)
}
