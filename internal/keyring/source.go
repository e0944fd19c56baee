package keyring

import (
	"cmp"
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

// ErrNoCredential means that systemd passed no credential to this process.
var ErrNoCredential = errors.New("systemd passed no credential")

// FromCredential reads the key from a systemd credential (LoadCredential= and
// LoadCredentialEncrypted= of systemd.exec). A command that systemd did not start, as
// backup verify in a shell, reads the credential of the running service. Only root and the
// service's user may.
type FromCredential string

// serviceCredentials is the directory of the credentials of configs/systemd/strongroom.service.
const serviceCredentials = "/run/credentials/strongroom.service"

// Key implements [Source].
func (name FromCredential) Key(ctx context.Context) (*seal.Key, error) {
	passed := os.Getenv("CREDENTIALS_DIRECTORY")
	key, err := FromFile(filepath.Join(cmp.Or(passed, serviceCredentials), string(name))).Key(ctx)
	// In systemd 252, a command of ExecReload= has the variable, but may not read the directory.
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) && passed == "" {
		return nil, fmt.Errorf("%w: CREDENTIALS_DIRECTORY is not set or not readable, and neither is the credential of a running strongroom.service: "+
			"run this as systemd-run --pipe --wait -p LoadCredential=%[2]s:/etc/strongroom/%[2]s strongroom …", ErrNoCredential, string(name))
	}
	return key, err
}
