package keyring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
)

// FromFile reads the key from a file, which must not be accessible to other users.
type FromFile string

// Key implements [Source].
func (path FromFile) Key(context.Context) (*seal.Key, error) {
	text, err := safefile.ReadPrivate(string(path))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return seal.ParseKey(string(text))
}

// FromEnv reads the key from an environment variable.
type FromEnv string

// Key implements [Source].
func (name FromEnv) Key(context.Context) (*seal.Key, error) {
	text, ok := os.LookupEnv(string(name))
	if !ok {
		return nil, fmt.Errorf("the environment variable %s is not set", string(name))
	}
	return seal.ParseKey(text)
}

// FromCredential reads the key from a systemd credential (LoadCredential= and
// LoadCredentialEncrypted= of systemd.exec).
type FromCredential string

// Key implements [Source].
func (name FromCredential) Key(ctx context.Context) (*seal.Key, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, errors.New("systemd passed no credentials: CREDENTIALS_DIRECTORY is not set")
	}
	return FromFile(filepath.Join(dir, string(name))).Key(ctx)
}
