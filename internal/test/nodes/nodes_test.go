// Package nodes_test proves what several nodes on one PostgreSQL promise together. Each
// node here has all that a process has in memory; make linear-nodes runs the
// programs themselves.
package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// A source has the key-encryption key of all nodes.
type source struct{ key *seal.Key }

func (s source) Key(context.Context) (*seal.Key, error) { return s.key, nil }

var kek = source{seal.NewKey()}

// An installation is several nodes on one database.
type installation struct {
	url    string // of the database
	caches string
	nodes  []*node
}

// A node is a store with its file, keys and audit log.
type node struct {
	*bolt.Store
	db    *postgres.DB
	cache string
	file  *state.File
	rings *keyring.Keyring
	log   *audit.Log
	keys  *issued.Keys

	closing sync.Once
}

// newDatabase returns the URL of a new database.
func newDatabase(t testing.TB) (url string) { return pgtest.Start(t).NewDatabase(t) }

// install makes a state in a database, in place of an earlier one, and starts nodes on it.
func install(t testing.TB, url string, nodes int) *installation {
	t.Helper()
	i := &installation{url: url, caches: t.TempDir()}
	if _, err := pgtest.Query(url, "drop schema if exists strongroom cascade"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Import(t.Context(), postgres.Options{URL: i.url}, newState(t)); err != nil {
		t.Fatal(err)
	}
	for n := range nodes {
		i.nodes = append(i.nodes, i.join(t, fmt.Sprint("node", n)))
	}
	return i
}

type dump = func(put func(change.Row) error) (state.Snapshot, error)

// newState returns the rows of a new state file, with the first entry of the audit log.
func newState(t testing.TB) dump {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := admin.CreateState(t.Context(), path, kek); err != nil {
		t.Fatal(err)
	}
	file, rings, err := admin.OpenState(t.Context(), path, kek, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	log := openLog(file, rings)
	if err := errors.Join(log.Begin(t.Context()), log.Close()); err != nil {
		t.Fatal(err)
	}
	return func(put func(change.Row) error) (state.Snapshot, error) { return file.Dump(put) }
}

func openLog(file *state.File, rings *keyring.Keyring) *audit.Log {
	return audit.Open(file, rings.Ring().Derive("audit entry"), rings.Ring().Derive("audit chain"))
}

// join starts a node, which continues with its cache if it has one.
func (i *installation) join(t testing.TB, name string) *node {
	t.Helper()
	n := &node{cache: filepath.Join(i.caches, name)}
	var err error
	if n.db, err = postgres.Open(t.Context(), postgres.Options{URL: i.url, Node: name}); err != nil {
		t.Fatal(err)
	}
	if n.file, n.rings, err = openCache(t.Context(), n.cache, n.db); err != nil {
		t.Fatal(err)
	}
	if err := n.rings.Follow(n.file); err != nil {
		t.Fatal(err)
	}
	n.log = openLog(n.file, n.rings)
	if n.keys, err = issued.Open(n.file, n.rings.Ring(), n.log, issued.SystemClock(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	n.Store = bolt.Open(n.file, "embedded", n.rings.Ring(), n.log, bolt.Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20})
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func openCache(ctx context.Context, path string, db state.SharedLog) (file *state.File, rings *keyring.Keyring, err error) {
	file, err = state.OpenShared(ctx, path, db, func(id string, wrapped []byte) (state.Keys, error) {
		if rings, err = keyring.Unwrap(ctx, kek, id, wrapped); err != nil {
			return state.Keys{}, err
		}
		return state.Keys{MAC: rings.StateKey(), Signed: rings.Ring().Signed()}, nil
	})
	return file, rings, err
}

// Close ends the node. Later calls do nothing.
func (n *node) Close() (err error) {
	n.closing.Do(func() { err = errors.Join(n.Store.Close(), n.keys.Close(), n.log.Close(), n.file.Close()) })
	return err
}

// request brings the node up to date, as before each read of a client.
func (n *node) request(ctx context.Context) error { return n.file.Fresh(ctx, 0) }

// mustVerify fails unless all nodes have the same position and one whole audit log.
func (i *installation) mustVerify(t *testing.T) {
	t.Helper()
	at := state.Position{}
	for k, n := range i.nodes {
		if err := n.request(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := n.log.Verify(t.Context())
		if err != nil {
			t.Errorf("node %d: the audit log: %v, %v", k, report, err)
		}
		if err := n.file.Verify(); err != nil {
			t.Errorf("node %d: %v", k, err)
		}
		if now := n.file.Position(); k == 0 {
			at = now
		} else if now != at {
			t.Errorf("node %d is at change %d, node 0 at %d", k, now.Seq, at.Seq)
		}
	}
}

var alice = secret.User("alice")
