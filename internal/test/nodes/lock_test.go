package nodes_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// A node that was refused locks the log for its next attempt. If it loses its connection
// then, the lock is gone, and another node can be first once more.
func TestNodeThatLosesTheLockRunsItsChangesAgain(t *testing.T) {
	server := pgtest.New(t)
	i := install(t, server.NewDatabase(t), 2)
	us, other := i.nodes[0].file, i.nodes[1].file
	put := func(key string) func(*state.Tx) error {
		return func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put([]byte(key), []byte("v"))
		}
	}
	runs := 0
	err := us.Update(t.Context(), func(tx *state.Tx) error {
		switch runs++; runs {
		case 1: // not locked yet: the other node is first
		case 2: // locked
			server.Disconnect(t)
		case 3:
			return put("ours")(tx)
		default:
			return errors.New("the change still runs on old rows")
		}
		if err := other.Update(t.Context(), put(fmt.Sprint("other", runs))); err != nil {
			t.Error(err)
		}
		return put("ours")(tx)
	})
	if err != nil || runs != 3 {
		t.Errorf("after %d runs: %v", runs, err)
	}
}
