package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/backup"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	takeBackup secret.Action = "backup"
	compact    secret.Action = "compact"
)

// Compact rewrites the state file without its unused pages. It returns the size before
// and after in bytes. Writes wait until it is done.
func (s *Service) Compact(ctx context.Context, caller secret.Caller) (before, after int64, err error) {
	err = s.record(ctx, caller, compact, func() error {
		before = s.File.Bytes()
		return s.File.Compact(ctx)
	})
	return before, s.File.Bytes(), err
}

// Backup writes a copy of the last commit, encrypted for the keyring or, if recipient is
// set, for an age recipient. Writes continue meanwhile.
func (s *Service) Backup(ctx context.Context, caller secret.Caller, recipient string, w io.Writer) error {
	return s.record(ctx, caller, takeBackup, func() error {
		enc, err := s.encrypt(w, recipient)
		if err != nil {
			return err
		}
		if _, err = s.File.WriteTo(enc); err == nil {
			err = enc.Close()
		}
		if err != nil { // the client sees only a truncated response
			s.log.Error("taking a backup", "error", err)
		} else {
			s.happened(&s.lastBackup, time.Now())
		}
		return err
	})
}

func (s *Service) encrypt(w io.Writer, recipient string) (io.WriteCloser, error) {
	if recipient != "" {
		enc, err := backup.ForAge(w, recipient)
		switch {
		case errors.Is(err, backup.ErrNotFIPS):
			return nil, &secret.InvalidError{Field: "recipient", Reason: err.Error()}
		case errors.Is(err, backup.ErrRecipient):
			return nil, &secret.InvalidError{Field: "recipient", Reason: "must be an age public key: age1…"}
		}
		return enc, err
	}
	ring, wrapped, err := s.Parts.Keyring.ForBackup()
	if err != nil {
		return nil, err
	}
	return backup.Seal(w, s.File.ID(), ring, wrapped)
}

// Decrypt returns a reader of the state file in a backup. With identities (the content of
// an age identity file) it reads a backup for age, otherwise one for the keyring, which
// the key-encryption key of source opens.
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

// Restore creates a state file from a backup. The path must not exist. It checks that the
// key-encryption key opens the file; if not, it leaves no file.
func Restore(ctx context.Context, path string, plain io.Reader, source keyring.Source) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s already exists: %w", path, os.ErrExist)
	}
	var keys *keyring.Keyring
	err = state.Restore(path, plain, unlocker(ctx, source, &keys))
	var locked *state.LockedError
	if errors.As(err, &locked) {
		return fmt.Errorf("the state file in the backup: %w", err)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, safefile.Remove(state.Files(path)...))
		}
	}()
	file, _, err := OpenState(ctx, path, source, state.Options{})
	if err != nil {
		return fmt.Errorf("the state file in the backup: %w", err)
	}
	return file.Close()
}
