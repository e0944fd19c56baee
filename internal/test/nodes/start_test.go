package nodes_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// All nodes may have been killed before one of them has folded, and their caches deleted.
func TestNodeStartsFarBehindTheRowsInTheDatabase(t *testing.T) {
	i := install(t, newDatabase(t), 1)
	value := make([]byte, 12<<20)
	_, _ = rand.Read(value)
	for n := range 12 {
		err := i.nodes[0].file.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put(fmt.Append(nil, n), value)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	i.nodes = append(i.nodes, i.join(t, "new"))
	i.mustVerify(t)
}

func TestNodeEndsWhenTheDatabaseHasAnotherState(t *testing.T) {
	server := pgtest.New(t)
	i := install(t, server.NewDatabase(t), 1)
	if _, err := pgtest.Query(i.url, "drop schema strongroom cascade"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Import(t.Context(), postgres.Options{URL: i.url}, newState(t)); err != nil {
		t.Fatal(err)
	}
	server.Disconnect(t)
	if err := i.nodes[0].request(t.Context()); !errors.Is(err, state.ErrDiverged) {
		t.Errorf("a request: %v", err)
	}
	select {
	case <-i.nodes[0].file.Broken():
	case <-time.After(time.Second):
		t.Error("the node goes on")
	}
}

func TestStateFileInPlaceOfTheCacheIsNeverRemoved(t *testing.T) {
	url := newDatabase(t)
	i := install(t, url, 0)
	path := filepath.Join(i.caches, "cache.db")
	if err := admin.CreateState(t.Context(), path, kek); err != nil {
		t.Fatal(err)
	}
	file, _, err := admin.OpenState(t.Context(), path, kek, state.Options{}) // makes the journal
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, what := range []string{"whole", "damaged"} {
		if what == "damaged" {
			if err := os.Truncate(path, 10_000); err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if file, _, err := admin.OpenShared(t.Context(), path, db, kek); err == nil {
			t.Errorf("%s: it was opened as a cache", what)
			_ = file.Close()
		} else {
			t.Log(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the file has changed (%v)", what, err)
		}
	}
}
