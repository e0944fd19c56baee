package app

import (
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/config"
)

// KeysFileOf returns the path of the keys file with an API key of this id, or "" if no
// keys file of the config has one. It returns an error for a broken file, and if several
// files have the id.
func KeysFileOf(cfg *config.Config, id string) (found string, err error) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Auth)) {
		s := cfg.Auth[name]
		if s.APIKey == nil || s.APIKey.KeysFile == "" || s.APIKey.KeysFile == found {
			continue
		}
		keys, err := readKeys(s.APIKey.KeysFile)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(keys, func(k apikey.Key) bool { return k.ID == id }) {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%s and %s both have an API key with the id %q: give one of them another id", found, s.APIKey.KeysFile, id)
		}
		found = s.APIKey.KeysFile
	}
	return found, nil
}
