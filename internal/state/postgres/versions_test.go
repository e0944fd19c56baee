package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// wantUnusable checks that a node reads nothing any more.
func wantUnusable(t *testing.T, db *postgres.DB, seq uint64, said string) {
	t.Helper()
	for what, read := range map[string]func() error{
		"Head":  func() error { _, err := db.Head(t.Context()); return err },
		"Since": func() error { return db.Since(t.Context(), seq, nil) },
		"Lock":  func() error { return db.Lock(t.Context(), seq, nil) },
	} {
		if err := read(); !errors.Is(err, state.ErrDiverged) || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v, want %s", what, err, said)
		}
	}
}

// A newer program changes the tables as schema.sql says.
func TestNodeEndsWithItsTables(t *testing.T) {
	url := newState(t)
	db := open(t, url)
	at := mustAppend(t, db, first.At, 1)
	execute(t, url, "begin; select pg_advisory_xact_lock(7638, 1); update strongroom.state set version = 2; alter function strongroom.append rename to append2; commit")
	wantError(t, "an append", db.Append(t.Context(), after(at)), state.ErrAway)
	wantUnusable(t, db, at.Seq, "version 2, and this program knows only 1")
	execute(t, url, "update strongroom.state set version = 1")
	time.Sleep(250 * time.Millisecond) // the error of a connection is repeated until the next attempt is due
	if got, err := db.Head(t.Context()); err != nil || got != at {
		t.Errorf("the head is %v, %v, want %v", got, err, at)
	}
}

func TestStateThatHasMovedIsUsedOnlyToMoveItAgain(t *testing.T) {
	url := newState(t)
	db, options := open(t, url), postgres.Options{URL: url}
	mark := func(want bool) {
		t.Helper()
		if isNew, err := db.MarkMoved(t.Context()); err != nil || isNew != want {
			t.Errorf("MarkMoved: %v, %v, want %v", isNew, err, want)
		}
	}
	usable := func(ctx context.Context) error {
		db, err := postgres.Open(ctx, options)
		if err == nil {
			_, err = db.Head(ctx)
			_ = db.Close()
		}
		return err
	}
	mark(true)
	mark(false)
	wantUnusable(t, db, first.At.Seq, "moved from this database to a file")
	wantError(t, "a new node", usable(t.Context()), state.ErrDiverged)
	options.Moved = true
	wantError(t, "another move", usable(t.Context()), nil)
	execute(t, url, "update strongroom.state set version = version + 1")
	wantError(t, "another move by an old program", usable(t.Context()), state.ErrDiverged)
	execute(t, url, "update strongroom.state set version = version - 1")
	for range 2 {
		wantError(t, "the end of the mark", db.UnmarkMoved(t.Context()), nil)
	}
	options.Moved = false
	wantError(t, "a node afterwards", usable(t.Context()), nil)
	mark(true)
}
