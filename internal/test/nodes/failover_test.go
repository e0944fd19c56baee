package nodes_test

import (
	"errors"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// Without a synchronous standby a failover loses changes. A node that has them must not go on
// as if nothing had happened; a person decides.
func TestNodeEndsWhenThePromotedStandbyWasBehind(t *testing.T) {
	primary := pgtest.New(t)
	url := primary.NewDatabase(t)
	standby := primary.Standby(t)
	i := install(t, pgtest.Via(url, primary.Address()+","+standby.Address()), 1)
	primary.AwaitStandby(t)
	primary.Exec(t, "alter system set synchronous_standby_names = ''")
	primary.Exec(t, "select pg_reload_conf()")
	standby.Stop(t)
	n := i.nodes[0]
	before := n.file.Position()
	put := func(f *state.File, value string) error {
		return f.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put([]byte("key"), []byte(value))
		})
	}
	if err := put(n.file, "lost"); err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	standby.Restart(t)
	standby.Promote(t)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := put(n.file, "again")
		if errors.Is(err, state.ErrDiverged) {
			break
		}
		if !errors.Is(err, state.ErrAway) && !errors.Is(err, state.ErrUnknown) || time.Now().After(deadline) {
			t.Fatalf("the node goes on: %v", err)
		}
	}
	<-n.file.Broken()
	if err := n.Close(); err != nil && !errors.Is(err, state.ErrDiverged) {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Options{URL: i.url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := openCache(t.Context(), n.cache, db); !errors.Is(err, state.ErrDiverged) {
		t.Errorf("the node has started again with its cache: %v", err)
	}
	other := i.join(t, "without a cache") // the decision to go on without the lost changes
	if at := other.file.Position(); at != before {
		t.Errorf("it begins at %v, want %v", at, before)
	}
	if err := put(other.file, "later"); err != nil {
		t.Error(err)
	}
}
