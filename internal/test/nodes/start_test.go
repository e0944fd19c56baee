package nodes_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

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
