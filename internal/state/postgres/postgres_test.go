package postgres_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// newDatabase returns the URL of a new, empty database.
func newDatabase(t testing.TB) string {
	t.Helper()
	return pgtest.Start(t).NewDatabase(t)
}

// execute runs SQL as the superuser in the database of a URL.
func execute(t testing.TB, databaseURL, sql string) {
	t.Helper()
	if _, err := pgtest.Query(pgtest.Start(t).URL(nameOf(t, databaseURL)), sql); err != nil {
		t.Fatal(err)
	}
}

// nameOf returns the name of a database, which is that of its role too.
func nameOf(t testing.TB, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

var first = state.Snapshot{ID: "state", Lineage: [16]byte{1}, At: state.Position{Seq: 7, Chain: change.Chain{7}}, MAC: []byte("mac")}

var firstRows = []change.Row{row("a", "1", "one"), row("a", "2", ""), row("b", "\x00\xff", strings.Repeat("\xff\x00", 3000))}

func row(bucket, key, value string) change.Row {
	return change.Row{Bucket: bucket, Key: []byte(key), Value: []byte(value)}
}

// dump is the state of a snapshot with these rows.
func dump(s state.Snapshot, rows ...change.Row) func(func(change.Row) error) (state.Snapshot, error) {
	return func(put func(change.Row) error) (state.Snapshot, error) {
		for _, r := range rows {
			if err := put(r); err != nil {
				return s, err
			}
		}
		return s, nil
	}
}

// newState returns the URL of a database with the first state.
func newState(t testing.TB) string {
	t.Helper()
	url := newDatabase(t)
	mustImport(t, url)
	return url
}

func mustImport(t testing.TB, url string) {
	t.Helper()
	if err := postgres.Import(t.Context(), postgres.Options{URL: url}, dump(first, firstRows...)); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url, Node: t.Name(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

type chainKey struct{}

func (chainKey) MAC(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte("key"))
	_, _ = mac.Write(slices.Concat(parts...))
	return mac.Sum(nil)
}

// after returns the record with these rows after a position.
func after(at state.Position, rows ...change.Row) state.SharedRecord {
	r := state.SharedRecord{Record: change.Record{Seq: at.Seq + 1, Content: change.Append(nil, rows)}, Before: at.Chain}
	r.Chain = at.Chain.Next(chainKey{}, r.Seq, r.Content)
	_, _ = rand.Read(r.ID[:])
	return r
}

func positionOf(r state.SharedRecord) state.Position {
	return state.Position{Seq: r.Seq, Chain: r.Chain}
}

// mustAppend appends some records after a position.
func mustAppend(t *testing.T, db *postgres.DB, at state.Position, n int) state.Position {
	t.Helper()
	for i := range n {
		r := after(at, change.Row{Bucket: "a", Key: fmt.Append(nil, i), Value: []byte("v")})
		if err := db.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		at = positionOf(r)
	}
	return at
}

// records returns all records behind a number.
func records(t *testing.T, db *postgres.DB, seq uint64) (all []state.SharedRecord) {
	t.Helper()
	err := db.Since(t.Context(), seq, func(r state.SharedRecord) error {
		r.Content = bytes.Clone(r.Content)
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRecordsComeInOrderOnEveryNode(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	at, want := first.At, []state.SharedRecord(nil)
	for i := range 20 {
		r := after(at, change.Row{Bucket: "a", Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte{byte(i)}, i*1000)})
		if err := []*postgres.DB{one, two}[i%2].Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		at = positionOf(r)
		r.Before = change.Chain{}
		want = append(want, r)
	}
	for _, db := range []*postgres.DB{one, two} {
		for behind := range 20 {
			got := records(t, db, first.At.Seq+uint64(behind))
			if !slices.EqualFunc(got, want[behind:], same) {
				t.Fatalf("%d behind: got %d records, want %d", behind, len(got), len(want[behind:]))
			}
		}
		if got, err := db.Head(t.Context()); err != nil || got != at {
			t.Errorf("head %v, %v, want %v", got, err, at)
		}
	}
}

func same(a, b state.SharedRecord) bool {
	return a.Seq == b.Seq && a.Chain == b.Chain && a.ID == b.ID && a.Before == b.Before && bytes.Equal(a.Content, b.Content)
}

func TestAppendIsRefused(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	r := after(first.At)
	if err := one.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wantError(t, "another record at the same number", two.Append(t.Context(), after(first.At)), state.ErrConflict)
	wantError(t, "the same record again", two.Append(t.Context(), r), nil)
	wantError(t, "a record after another chain", two.Append(t.Context(), after(state.Position{Seq: 8, Chain: change.Chain{9}})), state.ErrDiverged)
	wantError(t, "a record after one that is missing", two.Append(t.Context(), after(state.Position{Seq: 9})), state.ErrDiverged)
	wantError(t, "records after one that is missing", two.Since(t.Context(), 9, nil), state.ErrDiverged)
	wantError(t, "a lock after one that is missing", two.Lock(t.Context(), 9, nil), state.ErrDiverged)
	if got := records(t, one, 7); len(got) != 1 {
		t.Errorf("%d records, want 1", len(got))
	}
	wantError(t, "the next record", two.Append(t.Context(), after(positionOf(r))), nil)
}

func TestLockKeepsOthersFromAppending(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	at := mustAppend(t, one, first.At, 200) // more than are read with the lock held
	seen := 0
	count := func(state.SharedRecord) error { seen++; return nil }
	if err := two.Lock(t.Context(), first.At.Seq, count); err != nil || seen != 200 {
		t.Fatalf("%v, %d records, want 200", err, seen)
	}
	done := make(chan error)
	go func() { done <- one.Append(context.WithoutCancel(t.Context()), after(at)) }()
	select {
	case err := <-done:
		t.Fatalf("appended beside a lock: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	at = mustAppend(t, two, at, 1)
	wantError(t, "the append that waited", <-done, state.ErrConflict)
	if err := two.Lock(t.Context(), at.Seq, count); err != nil {
		t.Fatal(err)
	}
	go func() { done <- one.Append(context.WithoutCancel(t.Context()), after(at)) }()
	two.Unlock()
	two.Unlock()
	wantError(t, "the append after Unlock", <-done, nil)
	failed := errors.New("failed")
	wantError(t, "a lock whose records are refused", two.Lock(t.Context(), at.Seq, func(state.SharedRecord) error { return failed }), failed)
	mustAppend(t, one, positionOf(records(t, one, at.Seq)[0]), 1)
}

func TestOpenRefuses(t *testing.T) {
	database := newDatabase(t)
	_, err := postgres.Open(t.Context(), postgres.Options{URL: database})
	wantError(t, "an empty database", err, postgres.ErrNoState)
	_, err = postgres.Open(t.Context(), postgres.Options{URL: pgtest.Via(database, "127.0.0.1:1")})
	wantError(t, "a port without a server", err, state.ErrAway)
	execute(t, database, "create schema strongroom")
	_, err = postgres.Open(t.Context(), postgres.Options{URL: database})
	wantError(t, "an empty schema that the role must not use", err, state.ErrAway)
}

func TestErrorsHaveNoPassword(t *testing.T) {
	database, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	database.User = url.UserPassword(database.User.Username(), "hunter2/secret")
	at := database.Host
	for _, wrong := range []string{
		database.String(), pgtest.Via(database.String(), "127.0.0.1:1"), "postgres://u:hunter2/secret@localhost/x", "postgres://u:hunter2/secret@localhost:port/x",
		"host=x password=hunter2 port=x", "postgres://u:hunter2@localhost/x?sslmode=secret", "postgres://u:%zzhunter2@localhost/x",
		"postgres://u:hunter2@" + at + "/missing", "postgres://u:hunter2@" + at + "," + at + "/missing", "",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: wrong})
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestUnsafeDatabasesAreRefused(t *testing.T) {
	url := newState(t)
	for setting, want := range map[string]string{
		"synchronous_commit = off":                          "synchronous_commit is off",
		"synchronous_commit = local":                        "synchronous_commit is local",
		"synchronous_commit = remote_write":                 "synchronous_commit is remote_write",
		"default_transaction_isolation = 'serializable'":    "default_transaction_isolation is serializable",
		"default_transaction_isolation = 'repeatable read'": "default_transaction_isolation is repeatable read",
		"default_transaction_read_only = on":                "read-only",
	} {
		execute(t, url, "alter role "+nameOf(t, url)+" set "+setting)
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", setting, err)
		}
		execute(t, url, "alter role "+nameOf(t, url)+" reset "+strings.Fields(setting)[0])
	}
	execute(t, url, "update strongroom.state set version = 2")
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url}); err == nil || !strings.Contains(err.Error(), "newer Strongroom") {
		t.Errorf("a newer schema: %v", err)
	}
}

// Only a server of its own can have these settings.
func TestUnsafeServersAreRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	url := server.NewDatabase(t)
	mustImport(t, url)
	for _, setting := range []string{"fsync", "full_page_writes"} {
		server.Exec(t, "alter system set "+setting+" = off")
		server.Exec(t, "select pg_reload_conf(), pg_sleep(0.2)")
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), setting+" = off") || errors.Is(err, state.ErrAway) {
			t.Errorf("%s: %v", setting, err)
		}
		server.Exec(t, "alter system reset "+setting)
		server.Exec(t, "select pg_reload_conf(), pg_sleep(0.2)")
	}
}
