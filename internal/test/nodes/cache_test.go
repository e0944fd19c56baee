package nodes_test

import (
	"errors"
	"os"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// A change that the database has must not be reported as failed because the cache is gone.
func TestChangeIsAcknowledgedWithoutTheCache(t *testing.T) {
	t.Parallel()
	i := install(t, newDatabase(t), 2)
	n, other := i.nodes[0], i.nodes[1]
	if err := os.Remove(n.file.Path()); err != nil {
		t.Fatal(err)
	}
	changed := n.file.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		return b.Put([]byte("key"), []byte("value"))
	})
	if changed != nil && !errors.Is(changed, state.ErrUnlinked) { // if the node has noticed it before
		t.Fatal(changed)
	}
	if err := other.request(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := other.file.View(func(tx *state.Tx) error {
		b := tx.Bucket("test")
		if got := b.Get([]byte("key")) != nil; got != (changed == nil) {
			t.Errorf("the change is in the database: %t, and its outcome was %v", got, changed)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
