package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
)

func readKeys(path string) ([]apikey.Key, error) {
	text, err := keyring.ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	keys, err := apikey.ParseKeys(path, text)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return keys, nil
}

// openTLS reads the certificate and its key; nil stands for no TLS.
func openTLS(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	chain, err := os.ReadFile(t.Certificate)
	if err != nil {
		return nil, fmt.Errorf("listen.tls.certificate: %w", err)
	}
	key, err := keyring.ReadPrivate(t.Key)
	if err != nil {
		return nil, fmt.Errorf("listen.tls.key: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("listen.tls: %w", err)
	}
	if t.MinVersion == "1.2" {
		return server.TLS(certificate, tls.VersionTLS12), nil
	}
	return server.TLS(certificate, tls.VersionTLS13), nil
}

// writeNew writes a file that must not exist yet, and makes it durable, or else
// leaves none.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close(), state.SyncDir(filepath.Dir(path)))
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
