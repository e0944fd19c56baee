package nodes_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// An append is repeated for ten seconds, because its outcome must be known. A change that comes
// meanwhile must not wait for that append and then for its own.
func TestChangesDoNotWaitForADatabaseThatIsSilent(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.Start(t).Address())
	i := install(t, newDatabase(t), 0)
	i.url = pgtest.Via(i.url, proxy.Address())
	file := i.join(t, "node").file
	change := func() error {
		return file.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put([]byte("key"), []byte("value"))
		})
	}
	if err := change(); err != nil {
		t.Fatal(err)
	}
	proxy.Stall(true)
	var all sync.WaitGroup
	for after, limit := range map[time.Duration]time.Duration{
		0: 16 * time.Second, 500 * time.Millisecond: 16 * time.Second, // before the append counts as unanswered
		2 * time.Second: 9 * time.Second, 5 * time.Second: 9 * time.Second, 13 * time.Second: 9 * time.Second,
	} {
		all.Go(func() {
			time.Sleep(after)
			began := time.Now()
			if err := change(); !errors.Is(err, secret.ErrUnavailable) {
				t.Errorf("a change after %v: %v", after, err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("a change after %v took %v, want at most %v", after, took, limit)
			}
		})
	}
	all.Wait()
	proxy.Stall(false)
	for began := time.Now(); change() != nil; {
		if time.Since(began) > time.Minute {
			t.Fatal("no change succeeds, although the database answers again")
		}
	}
}
