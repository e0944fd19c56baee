package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/seal"
)

// readPrivate reads a file that must not be open to everybody. Its group may
// read it, for that is how Kubernetes and systemd hand files to a service.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("%s is open to others (mode %04o): run chmod 600 on it", path, mode)
	}
	return os.ReadFile(path)
}

func readKeys(path string) ([]apikey.Key, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	keys, err := apikey.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return keys, nil
}

// readKey reads the key-encryption key from where the config says.
func readKey(from config.Key) (*seal.Key, error) {
	switch {
	case from.Env != "":
		text, ok := os.LookupEnv(from.Env)
		if !ok {
			return nil, fmt.Errorf("state.key.env: %s is not set", from.Env)
		}
		return parseKey("state.key.env", []byte(text))
	case from.Credential != "":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, errors.New("state.key.credential: systemd passed no credentials (CREDENTIALS_DIRECTORY is not set)")
		}
		return readKeyFile("state.key.credential", filepath.Join(dir, from.Credential))
	default:
		return readKeyFile("state.key.file", from.File)
	}
}

func readKeyFile(field, path string) (*seal.Key, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	defer clear(text)
	return parseKey(field, text)
}

func parseKey(field string, text []byte) (*seal.Key, error) {
	key, err := seal.ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return key, nil
}
