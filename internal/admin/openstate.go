package admin

import (
	"context"

	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/state"
)

// OpenState opens a state file and its keyring. A journal that it makes gets two files of
// journalBytes, or small ones for 0. Errors: those of [state.Open]. A
// state.LockedError has an error of the source, or seal.ErrWrongKey.
func OpenState(ctx context.Context, path string, journalBytes int64, source keyring.Source) (*state.File, *keyring.Keyring, error) {
	var keys *keyring.Keyring
	file, err := state.OpenSized(path, journalBytes, func(id string, wrapped []byte) (_ state.MACKey, err error) {
		if keys, err = keyring.Unwrap(ctx, source, id, wrapped); err != nil {
			return nil, err
		}
		return keys.StateKey(), nil
	})
	if err != nil {
		return nil, nil, err
	}
	keys.Follow(file)
	return file, keys, nil
}
