package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// mustJoin starts a node on a database, which gets a state if it has none.
func mustJoin(t *testing.T, dir, url string, staleness time.Duration) *node {
	t.Helper()
	urlFile, key := filepath.Join(dir, "url"), filepath.Join(dir, "key")
	s := config.State{Key: config.KeySource{File: key}, Postgres: &config.Postgres{URLFile: urlFile, Cache: t.TempDir()}}
	if _, err := os.Stat(key); err != nil {
		for path, text := range map[string]string{urlFile: url, key: seal.NewKey().Encode()} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := NewState(t.Context(), s, "1"); err != nil {
			t.Fatal(err)
		}
	}
	file, _, n, err := openState(t.Context(), &config.Config{State: s, Reads: config.Reads{Staleness: duration.Duration(staleness)}}, "1", false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return n
}

// hold keeps the node from applying changes until release is called, also by the end of the
// test: a node that is held cannot be closed.
func (n *node) hold(t *testing.T) (release func()) {
	t.Helper()
	holding, released, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- n.file.Hold(func() error { close(holding); <-released; return nil })
	}()
	<-holding
	release = sync.OnceFunc(func() {
		close(released)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// A revocation does not wait for a node that has said nothing yet, or not for long, so what
// that node says first must not let it use an older state.
func TestFirstBeatAllowsNoStateFromBefore(t *testing.T) {
	dir, url := t.TempDir(), pgtest.Start(t).NewDatabase(t)
	one, two := mustJoin(t, dir, url, 0), mustJoin(t, dir, url, 20*time.Second)
	lock, ended := make(chan struct{}), make(chan error, 1)
	go func() { // the beat waits for this transaction
		close(lock)
		_, err := pgtest.Query(url, "begin; lock strongroom.nodes in exclusive mode; select pg_sleep(2); commit")
		ended <- err
	}()
	<-lock
	time.Sleep(500 * time.Millisecond)
	beaten := make(chan error, 1)
	go func() { beaten <- two.beat(t.Context()) }()
	time.Sleep(500 * time.Millisecond)
	release := two.hold(t)
	err := one.file.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		return b.Put([]byte("key"), []byte("revoked"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.file.Everywhere(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := one.file.Position().Seq
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // for the beat
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := two.fresh(soon); err == nil && two.file.Position().Seq < want {
		t.Errorf("a request begins at change %d, and change %d counts everywhere", two.file.Position().Seq, want)
	}
	release()
	if err := <-beaten; err != nil {
		t.Fatal(err)
	}
	if two.allowed() == 0 {
		t.Error("the node must ask the database although it has told the others")
	}
}

func TestNodeKnowsHowFarItIsBehind(t *testing.T) {
	dir, url := t.TempDir(), pgtest.Start(t).NewDatabase(t)
	one, two := mustJoin(t, dir, url, 0), mustJoin(t, dir, url, 0)
	if err := two.fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := two.measure(); got.Behind != 0 {
		t.Errorf("%d changes behind at the start", got.Behind)
	}
	began, release := time.Now(), two.hold(t)
	for range 3 {
		err := one.file.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put([]byte("key"), []byte("value"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	await := func(want uint64) {
		t.Helper()
		for two.measure().Behind != want {
			if time.Since(began) > time.Minute {
				t.Fatalf("%d changes behind, want %d", two.measure().Behind, want)
			}
			soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_ = two.fresh(soon) // which the hold lets end only by its time limit
			cancel()
		}
	}
	await(3)
	release()
	await(0)
	if answered := two.measure().Answered; answered.Before(began.Add(-time.Second)) {
		t.Errorf("the database answered last at %v, before %v", answered, began)
	}
}
