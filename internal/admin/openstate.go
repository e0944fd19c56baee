package admin

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/state"
)

// CreateState creates a state file. The key of the source opens its keyring. Errors:
// those of [state.Create] and of the source.
func CreateState(ctx context.Context, path string, source keyring.Source) error {
	return state.Create(path, func(id string) ([]byte, state.MACKey, error) { return keyring.New(ctx, source, id) })
}

// OpenState opens a state file and its keyring. Errors: those of [state.OpenWith]. A
// state.LockedError has an error of the source, or seal.ErrWrongKey.
func OpenState(ctx context.Context, path string, source keyring.Source, options state.Options) (*state.File, *keyring.Keyring, error) {
	var keys *keyring.Keyring
	file, err := state.OpenWith(path, unlocker(ctx, source, &keys), options)
	if err != nil {
		return nil, nil, err
	}
	return opened(ctx, file, keys)
}

// OpenShared opens a state that several nodes share, by this node's cache at the path. Errors:
// those of [state.OpenShared]. A state.LockedError has an error of the source, or
// seal.ErrWrongKey.
func OpenShared(ctx context.Context, path string, shared state.SharedLog, source keyring.Source) (*state.File, *keyring.Keyring, error) {
	var keys *keyring.Keyring
	file, err := state.OpenShared(ctx, path, shared, unlocker(ctx, source, &keys))
	if err != nil {
		return nil, nil, err
	}
	return opened(ctx, file, keys)
}

// FetchState creates a state file from a state that several nodes share, and that none of
// them uses now. Errors: those of [state.Fetch] and of the source.
func FetchState(ctx context.Context, path string, shared state.SharedLog, source keyring.Source) error {
	var keys *keyring.Keyring
	return state.Fetch(ctx, path, shared, unlocker(ctx, source, &keys))
}

func opened(ctx context.Context, file *state.File, keys *keyring.Keyring) (*state.File, *keyring.Keyring, error) {
	err := keys.Follow(file)
	if err == nil {
		err = noteSigned(ctx, file, keys)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, keys, nil
}

func unlocker(ctx context.Context, source keyring.Source, keys **keyring.Keyring) state.Unlock {
	return func(id string, wrapped []byte) (state.Keys, error) {
		k, err := keyring.Unwrap(ctx, source, id, wrapped)
		if err != nil {
			return state.Keys{}, err
		}
		*keys = k
		return state.Keys{MAC: k.StateKey(), Signed: k.Ring().Signed()}, nil
	}
}

// noteSigned finishes the upgrade of a file without a MAC over its rows. The MAC comes
// before the note, so a crash in between leaves a file that opens.
func noteSigned(ctx context.Context, file *state.File, keys *keyring.Keyring) error {
	if keys.Ring().Signed() {
		return nil
	}
	if file.Altered() != nil {
		return nil // it is opened for an investigation
	}
	if err := file.Err(); err != nil {
		return err
	}
	return keys.NoteSigned(ctx)
}
