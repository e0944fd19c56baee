package app

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state"
)

// NewState creates an empty state file with the first entry of its audit log. The key of
// the source opens its keyring. On an error it leaves no file.
func NewState(ctx context.Context, path string, source keyring.Source) error {
	err := admin.CreateState(ctx, path, source)
	if err != nil {
		return err
	}
	if err = beginLog(ctx, path, source); err != nil {
		err = errors.Join(err, safefile.Remove(state.Files(path)...))
	}
	return err
}

// beginLog writes the first audit entry. Without it, a wiped log would look like a new
// one.
func beginLog(ctx context.Context, path string, source keyring.Source) error {
	file, keys, err := admin.OpenState(ctx, path, source, state.Options{})
	if err != nil {
		return err
	}
	log := openLog(file, keys.Ring())
	return errors.Join(log.Begin(ctx), log.Close(), file.Close())
}
