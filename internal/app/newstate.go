package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state"
)

// NewState creates an empty state where the config says, with the first entry of its audit
// log. On an error it leaves nothing, except that after state.ErrUnknown the database may have
// the state.
func NewState(ctx context.Context, s config.State, version string) error {
	source := KeySource(s.Key)
	if s.Postgres == nil {
		return NewFile(ctx, s.Path, source)
	}
	return importing(s.Postgres, func(path string) error {
		if err := NewFile(ctx, path, source); err != nil {
			return err
		}
		_, err := importFile(ctx, path, s, version)
		return err
	})
}

// NewFile is NewState for a state file. The key of the source opens its keyring.
func NewFile(ctx context.Context, path string, source keyring.Source) error {
	err := admin.CreateState(ctx, path, source)
	if err != nil {
		return err
	}
	if err = beginLog(ctx, path, source); err != nil {
		err = errors.Join(err, safefile.Remove(state.Files(path)...))
	}
	return err
}

// importing calls do with the path of a state file to create and import, in a directory
// within that of the cache, which it removes afterwards.
func importing(p *config.Postgres, do func(path string) error) error {
	owner, err := makeCache(p.Cache)
	if err != nil {
		return err
	}
	dir := ""
	err = owner.Do(func() (err error) {
		dir, err = os.MkdirTemp(p.Cache, ".import-")
		return err
	})
	if err != nil {
		return err
	}
	err = do(filepath.Join(dir, "state.db"))
	return errors.Join(err, owner.Do(func() error { return os.RemoveAll(dir) }))
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
