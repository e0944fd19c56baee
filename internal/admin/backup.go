package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/strongroom/strongroom/internal/backup"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const takeBackup secret.Action = "backup"

// Backup writes a copy of the last commit, encrypted for the keyring or, if one
// is named, for an age recipient. Writes go on meanwhile.
func (o *Office) Backup(ctx context.Context, caller secret.Caller, recipient string, w io.Writer) error {
	return o.record(ctx, caller, takeBackup, func() error {
		enc, err := o.encrypt(w, recipient)
		if err != nil {
			return err
		}
		if _, err := o.File.WriteTo(enc); err != nil {
			return err
		}
		return enc.Close()
	})
}

func (o *Office) encrypt(w io.Writer, recipient string) (io.WriteCloser, error) {
	if recipient != "" {
		return backup.ForAge(w, recipient)
	}
	wrapped, err := o.File.Keyring()
	if err != nil {
		return nil, err
	}
	return backup.Seal(w, o.File.ID(), o.Parts.Keyring.Ring(), wrapped)
}

// Decrypt returns a reader of the state file in a backup: with identities, an
// age identity file, of one for age, else of one for the keyring, which the
// key-encryption key opens.
func Decrypt(ctx context.Context, r io.Reader, source keyring.Source, identities []byte) (io.Reader, error) {
	if identities != nil {
		return backup.FromAge(r, identities)
	}
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, err
	}
	return backup.Open(r, func(wrapped []byte, stateID string) (*seal.Ring, error) {
		return seal.Unwrap(wrapped, kek, stateID)
	})
}

// Restore makes a state file of a backup, where none may be yet. It makes sure
// that the key-encryption key opens it, and leaves nothing if it does not.
func Restore(ctx context.Context, path string, plain io.Reader, source keyring.Source) (err error) {
	if err := state.Restore(path, plain); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	file, err := state.Open(path)
	if err != nil {
		return err
	}
	if _, err := keyring.Open(ctx, file, source); err != nil {
		return errors.Join(fmt.Errorf("the state file in the backup: %w", err), file.Close())
	}
	return file.Close()
}
