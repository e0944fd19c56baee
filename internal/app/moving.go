package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// ImportState copies a state file that nothing else uses into the empty database of the
// config, in one transaction. Then it fills the cache from the database, which compares all
// rows with their MAC, and returns their number. It can be repeated: a database that has
// this state already, without later changes, is only compared.
func ImportState(ctx context.Context, path string, to config.State, version string) (rows int, err error) {
	if rows, err = importFile(ctx, path, to, version); err != nil {
		return 0, err
	}
	return rows, verifyCache(ctx, to, version)
}

// importFile is ImportState without the comparison.
func importFile(ctx context.Context, path string, to config.State, version string) (rows int, err error) {
	options, err := databaseOptions(to.Postgres, version)
	if err != nil {
		return 0, err
	}
	source := KeySource(to.Key)
	file, _, err := admin.OpenState(ctx, path, source, state.Options{})
	if err != nil {
		return 0, err
	}
	id := file.ID()
	dump := func(put func(change.Row) error) (state.Snapshot, error) {
		rows = 0
		return file.Dump(func(r change.Row) error {
			rows++
			return put(r)
		})
	}
	if err = postgres.Import(ctx, options, dump); err != nil {
		// It may have been imported before, or just now without an answer.
		switch missing := isThere(ctx, options, id, file.Position()); {
		case missing == nil:
			_, err = dump(func(change.Row) error { return nil }) // to count the rows
		case errors.Is(err, postgres.ErrExists):
			err = fmt.Errorf("%w: %w", err, missing)
		}
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, fmt.Errorf("state.postgres: %w", err)
	}
	return rows, nil
}

// isThere returns nil if the database has this state, and no later change.
func isThere(ctx context.Context, options postgres.Options, id string, at state.Position) error {
	db, err := openTarget(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	has, _, err := db.Identity(ctx)
	if err != nil {
		return err
	}
	head, err := db.Head(ctx)
	switch {
	case err != nil:
		return err
	case has != id:
		return errOther
	case head != at:
		return errors.New("it is this state at another time: use an empty database")
	}
	return nil
}

// verifyCache fills a cache from the database, which compares all rows with their MAC. One
// of this import, which is there already, was compared too.
func verifyCache(ctx context.Context, s config.State, version string) error {
	file, _, _, err := openState(ctx, &config.Config{State: s}, version, false, nil)
	if err != nil {
		return fmt.Errorf("reading the database back: %w", err)
	}
	return file.Close()
}

// Migration is an action in the audit log: from here on, the state is elsewhere.
const Migration secret.Action = "state migrate"

// MoveToDatabase moves the state file of the config, which no server may have open, to an
// empty database, and returns the number of rows. The file stays as it is but for an audit
// entry of the migration.
func MoveToDatabase(ctx context.Context, cfg *config.Config, to config.State, version string) (rows int, err error) {
	file, keys, err := admin.OpenState(ctx, cfg.State.Path, KeySource(cfg.State.Key), state.Options{})
	if err != nil {
		return 0, fmt.Errorf("state.path: %w", err)
	}
	// Before the audit log says that the state has moved.
	if err := wantEmpty(ctx, to, version, file.ID()); err != nil {
		return 0, errors.Join(err, file.Close())
	}
	log := openLog(file, keys.Ring())
	last, err := log.Tail(1)
	if err == nil && (len(last) == 0 || last[0].Event.Action != Migration) { // else the move is repeated
		err = noteMigration(ctx, log)
	}
	if err = errors.Join(err, log.Close(), file.Close()); err != nil {
		return 0, err
	}
	return ImportState(ctx, cfg.State.Path, to, version)
}

// wantEmpty returns an error if the database cannot be used, or has another state.
func wantEmpty(ctx context.Context, s config.State, version, id string) error {
	options, err := databaseOptions(s.Postgres, version)
	if err != nil {
		return err
	}
	db, err := openTarget(ctx, options)
	if errors.Is(err, postgres.ErrNoState) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state.postgres: %w", err)
	}
	has, _, err := db.Identity(ctx)
	if err == nil && has != id {
		err = fmt.Errorf("state.postgres: %w: %w", postgres.ErrExists, errOther)
	}
	return errors.Join(err, db.Close())
}

// openTarget opens a database into which a state is to be imported, if it has a state already.
func openTarget(ctx context.Context, options postgres.Options) (*postgres.DB, error) {
	db, err := postgres.Open(ctx, options)
	if errors.Is(err, postgres.ErrMoved) {
		err = fmt.Errorf("%w: use an empty database; or back that file up, and drop the schema strongroom of this one", postgres.ErrMoved)
	}
	return db, err
}

var errOther = errors.New("it is another state: use an empty database")

func noteMigration(ctx context.Context, log *audit.Log) error {
	return log.Record(ctx, secret.Event{Time: time.Now().UTC(), Subject: "migrate", Action: Migration, Outcome: secret.Done})
}

// MoveToFile moves the state in the database of the config, which no node may use, to a new
// state file. From then on no node can use the database. It can be repeated. If it fails, the
// mark of an earlier move stays, because the file of that move may be in use.
func MoveToFile(ctx context.Context, cfg *config.Config, path, version string) error {
	if _, err := os.Lstat(path); err == nil {
		return &os.PathError{Op: "create", Path: path, Err: os.ErrExist}
	}
	options, err := databaseOptions(cfg.State.Postgres, version)
	if err != nil {
		return err
	}
	options.Moved = true // by an attempt that was interrupted
	db, err := postgres.Open(ctx, options)
	if err != nil {
		return explain("state.postgres", err)
	}
	isNew, err := endLog(ctx, cfg, options)
	if err == nil {
		err = admin.FetchState(ctx, path, db, KeySource(cfg.State.Key))
	}
	if err != nil && isNew {
		err = errors.Join(err, db.UnmarkMoved(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, db.Close())
}

// endLog marks the state as moved, and reports whether it was not marked before. Then it
// appends the last entry to the audit log: a node that has started meanwhile cannot append
// behind that, because it reads the mark first.
func endLog(ctx context.Context, cfg *config.Config, options postgres.Options) (isNew bool, err error) {
	n, keys, err := openNode(ctx, cfg, options, nil)
	if err != nil {
		return false, explain("state.postgres", err)
	}
	if err = n.wantNone(ctx); err == nil {
		isNew, err = n.MarkMoved(ctx)
	}
	log := openLog(n.file, keys.Ring())
	if err == nil {
		err = noteMigration(ctx, log)
	}
	return isNew, errors.Join(err, log.Close(), n.file.Close())
}

// wantNone returns an error if a node uses the database.
func (n *node) wantNone(ctx context.Context) error {
	nodes, err := n.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, other := range nodes {
		if other.Age < silentFor {
			return fmt.Errorf("the node %s is running: stop all nodes first", other.Name)
		}
	}
	return nil
}

// RestoreState creates the state of the config from the copy of a state file in a backup.
func RestoreState(ctx context.Context, s config.State, plain io.Reader, version string) error {
	source := KeySource(s.Key)
	if s.Postgres == nil {
		return admin.Restore(ctx, s.Path, plain, source)
	}
	return importing(s.Postgres, func(path string) error {
		if err := admin.Restore(ctx, path, plain, source); err != nil {
			return err
		}
		_, err := ImportState(ctx, path, s, version)
		return err
	})
}
