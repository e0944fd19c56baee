package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/anonymous"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/safefile"
)

// strategies are the authentication strategies of a config.
type strategies struct {
	byName map[string]auth.Strategy
	// apiKeys are those of the kind api_key.
	apiKeys map[string]*apikey.Strategy
	// oidc are those of the kind oidc.
	oidc map[string]*oidc.Strategy
	// sends maps a strategy's name to the place of its credential, if it has one.
	sends map[string]auth.Place
	// background are their background tasks, closed with the policy.
	background []background
}

// A background is a background task of a strategy.
type background interface {
	Start()
	io.Closer
}

// chain returns the authentication chain of an API: the common settings, and these
// strategies in this order.
func (s strategies) chain(cfg *config.Config, common auth.Chain, names []string) auth.Chain {
	chain, without := common, ""
	for _, name := range names {
		if cfg.Auth[name].Anonymous != nil {
			chain.Without, without = s.byName[name], name
		} else {
			chain.Strategies, chain.Names = append(chain.Strategies, s.byName[name]), append(chain.Names, name)
			sent := s.sends[name]
			chain.Places = append(chain.Places, sent)
			if !slices.Contains(chain.Schemes, sent.Scheme()) {
				chain.Schemes = append(chain.Schemes, sent.Scheme())
			}
		}
	}
	chain.Names = append(chain.Names, without)
	return chain
}

// openStrategies creates the strategies. Its error lists all errors in their files. It
// uses no network and no resources, so a config can be checked, without issued keys,
// while a server runs. API keys of files are checked again in inForce, if it is not nil.
func openStrategies(cfg *config.Config, issuers *oidc.KeySets, keys *issued.Keys, inForce *apikey.InForce, log *slog.Logger) (strategies, error) {
	all := strategies{byName: map[string]auth.Strategy{}, apiKeys: map[string]*apikey.Strategy{}, oidc: map[string]*oidc.Strategy{}, sends: map[string]auth.Place{}}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Auth)) { // sorted, so that errors have a fixed order
		s := cfg.Auth[name]
		switch {
		case s.Anonymous != nil:
			all.byName[name] = anonymous.New(s.Anonymous.User)
		case s.OIDC != nil:
			strategy, lease, err := openOIDC(name, s.OIDC, issuers, log)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			all.byName[name], all.sends[name], all.oidc[name] = strategy, auth.BearerPlace, strategy
			all.background = append(all.background, lease)
		case s.ServiceAccount != nil:
			strategy, err := openServiceAccount(name, s.ServiceAccount)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			all.byName[name], all.sends[name] = strategy, auth.BearerPlace
		case s.APIKey != nil:
			var fromFile []apikey.Key
			if s.APIKey.KeysFile != "" {
				var err error
				if fromFile, err = readKeys(s.APIKey.KeysFile); err != nil {
					wrong = append(wrong, fmt.Errorf("auth.%s.api_key.keys_file: %w", name, err))
				}
			}
			var more []apikey.Issuer
			if keys != nil {
				more = append(more, keys.For(name))
			}
			strategy := apikey.New(s.APIKey.Header, s.APIKey.Prefix, fromFile, more...)
			strategy.Recheck(name, inForce)
			all.apiKeys[name] = strategy
			all.byName[name], all.sends[name] = strategy, auth.Place{Header: s.APIKey.Header, Prefix: s.APIKey.Prefix}
		}
	}
	if len(wrong) > 0 {
		return strategies{}, errors.Join(append(wrong, all.Close())...)
	}
	return all, nil
}

// start starts the background tasks.
func (s strategies) start() {
	for _, b := range s.background {
		b.Start()
	}
}

// Close ends the background tasks.
func (s strategies) Close() error {
	var errs []error
	for _, b := range s.background {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

func readKeys(path string) ([]apikey.Key, error) {
	text, err := safefile.ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	keys, err := apikey.ParseKeys(path, text)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return keys, nil
}
