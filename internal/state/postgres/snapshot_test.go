package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// fill returns all rows in the database.
func fill(t *testing.T, db *postgres.DB) (state.Snapshot, []change.Row) {
	t.Helper()
	var rows []change.Row
	s, err := db.Fill(t.Context(), func(r change.Row) error {
		rows = append(rows, change.Row{Bucket: r.Bucket, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, rows
}

func wantRows(t *testing.T, db *postgres.DB, want state.Snapshot, wantRows []change.Row) {
	t.Helper()
	s, rows := fill(t, db)
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if !slices.EqualFunc(rows, wantRows, sameRow) {
		t.Errorf("%d rows, want %d, or with other content", len(rows), len(wantRows))
	}
}

func sameRow(a, b change.Row) bool {
	return a.Bucket == b.Bucket && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
}

func TestImportedRowsAreThere(t *testing.T) {
	db := open(t, newState(t))
	wantRows(t, db, first, firstRows)
	if at, err := db.Head(t.Context()); err != nil || at != first.At {
		t.Errorf("head %v, %v, want %v", at, err, first.At)
	}
	if id, lineage, err := db.Identity(t.Context()); err != nil || id != first.ID || lineage != first.Lineage {
		t.Errorf("state %s %x, want %s %x", id, lineage, first.ID, first.Lineage)
	}
	failed := errors.New("failed")
	_, err := db.Fill(t.Context(), func(change.Row) error { return failed })
	wantError(t, "a row that is refused", err, failed)
}

func TestImportLeavesNothingWhenItFails(t *testing.T) {
	url := newDatabase(t)
	failed := errors.New("failed")
	err := postgres.Import(t.Context(), postgres.Options{URL: url}, func(put func(change.Row) error) (state.Snapshot, error) {
		for i := range 5000 {
			if err := put(change.Row{Bucket: "a", Key: fmt.Append(nil, i), Value: []byte("v")}); err != nil {
				return first, err
			}
		}
		return first, failed
	})
	wantError(t, "a walk that fails", err, failed)
	_, err = postgres.Open(t.Context(), postgres.Options{URL: url})
	wantError(t, "a state after an import that failed", err, postgres.ErrNoState)
	if err := postgres.Import(t.Context(), postgres.Options{URL: url}, dump(first, firstRows...)); err != nil {
		t.Fatal(err)
	}
	err = postgres.Import(t.Context(), postgres.Options{URL: url}, dump(first))
	wantError(t, "a second import", err, postgres.ErrExists)
	wantRows(t, open(t, url), first, firstRows)
}

// Most states have more rows than one statement writes.
func TestManyRowsAreImportedInOrder(t *testing.T) {
	url := newDatabase(t)
	var rows []change.Row
	for i := range 12_345 {
		rows = append(rows, change.Row{Bucket: fmt.Sprint("Z-a_z"[i%5:]), Key: fmt.Append(nil, i*7919), Value: bytes.Repeat([]byte{byte(i)}, i%2000)})
	}
	if err := postgres.Import(t.Context(), postgres.Options{URL: url}, dump(first, rows...)); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b change.Row) int {
		if a.Bucket != b.Bucket {
			return bytes.Compare([]byte(a.Bucket), []byte(b.Bucket))
		}
		return bytes.Compare(a.Key, b.Key)
	})
	wantRows(t, open(t, url), first, rows)
}

func TestImportThatIsInterruptedLeavesNothing(t *testing.T) {
	url := newDatabase(t)
	server := pgtest.Start(t)
	err := postgres.Import(t.Context(), postgres.Options{URL: url}, func(put func(change.Row) error) (state.Snapshot, error) {
		for i := range 5000 {
			if i == 3000 {
				server.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+nameOf(t, url)+"'")
			}
			if err := put(row("a", strconv.Itoa(i), "v")); err != nil {
				return first, err
			}
		}
		return first, nil
	})
	wantError(t, "an interrupted import", err, state.ErrAway)
	_, err = postgres.Open(t.Context(), postgres.Options{URL: url})
	wantError(t, "a state after that", err, postgres.ErrNoState)
	mustImport(t, url)
}

func TestOneOfTwoImportsSucceeds(t *testing.T) {
	url := newDatabase(t)
	results := make(chan error)
	for range 2 {
		go func() {
			results <- postgres.Import(context.WithoutCancel(t.Context()), postgres.Options{URL: url}, dump(first, firstRows...))
		}()
	}
	a, b := <-results, <-results
	if a == nil {
		a, b = b, a
	}
	if !errors.Is(a, postgres.ErrExists) || b != nil {
		t.Errorf("%v and %v, want one ErrExists", a, b)
	}
	wantRows(t, open(t, url), first, firstRows)
}

// An administrator may create the schema for a role that must not.
func TestImportUsesAnEmptySchema(t *testing.T) {
	url := newDatabase(t)
	role := nameOf(t, url)
	execute(t, url, "create schema strongroom authorization "+role)
	execute(t, url, "revoke create on database "+role+" from "+role)
	mustImport(t, url)
	wantRows(t, open(t, url), first, firstRows)
}

// The role of configs/postgres/serving-role.sql must suffice for a node.
func TestServingRoleSuffices(t *testing.T) {
	url := newState(t)
	db := open(t, pgtest.Start(t).ServingRole(t, url))
	r := newReplica(first, firstRows)
	for range 3 {
		r.change(t, db)
	}
	if err := db.Lock(t.Context(), r.at.Seq, nil); err != nil {
		t.Fatal(err)
	}
	r.change(t, db)
	if err := db.Fold(t.Context(), r.snapshot()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, db, r.snapshot(), r.sorted())
	has, err := db.Claim(t.Context(), "fold", time.Minute)
	if err != nil || !has {
		t.Errorf("claim: %t, %v", has, err)
	}
	if err := errors.Join(db.Release(t.Context(), "fold"), db.Beat(t.Context(), 1, 0), db.Trim(t.Context(), 0, 0)); err != nil {
		t.Error(err)
	}
}
