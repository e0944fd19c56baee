package state_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

func mustUpdate(t *testing.T, f *state.File, fn func(*state.Tx) error) {
	t.Helper()
	if err := f.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// grown returns a file of some megabytes that are mostly unused.
func grown(t *testing.T) (path string, f *state.File) {
	t.Helper()
	path = mustCreate(t)
	f = mustOpen(t, path)
	for i := range 20 {
		mustUpdate(t, f, put(fmt.Sprint("large", i), strings.Repeat("x", 200_000)))
	}
	for i := range 20 {
		mustUpdate(t, f, func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Delete([]byte(fmt.Sprint("large", i)))
		})
	}
	mustUpdate(t, f, put("k", "v"))
	return path, f
}

func mustSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestCompactKeepsEverythingAndGivesRoomBack(t *testing.T) {
	path, f := grown(t)
	id, before := f.ID(), mustSize(t, path)
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := mustSize(t, path); after > 64<<10 {
		t.Errorf("%d bytes before and %d after, want a few pages", before, after)
	}
	mustUpdate(t, f, put("later", "v"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, strings.TrimSuffix(path, "/state.db"), "state.db", "state.db.holder", "state.db.journal0", "state.db.journal1")
	f = mustOpen(t, path)
	ring, err := f.Keyring()
	if f.ID() != id || string(ring) != "ring" || get(t, f, "k") != "v" || get(t, f, "later") != "v" || f.Damage() != "" {
		t.Errorf("id %s, want %s; keyring %q, %v; k %q; later %q; %s", f.ID(), id, ring, err, get(t, f, "k"), get(t, f, "later"), f.Damage())
	}
}

func TestReadsAndChangesGoOnBesideCompact(t *testing.T) {
	path, f := grown(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	written := make([]int, 4)
	for w := range written {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				written[w]++
				key := fmt.Sprint("writer", w, " ", written[w])
				if err := f.Update(t.Context(), put(key, "v")); err != nil {
					t.Error(err)
					return
				}
				if get(t, f, key) != "v" || get(t, f, "k") != "v" {
					t.Errorf("%s has been written and is not there", key)
				}
			}
		})
	}
	for range sized(10, 100) {
		if err := f.Compact(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if err := f.Err(); err != nil {
		t.Errorf("broken: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	for w, n := range written {
		for i := 1; i <= n; i++ {
			if key := fmt.Sprint("writer", w, " ", i); get(t, f, key) != "v" {
				t.Fatalf("%s has been acknowledged and is lost", key)
			}
		}
	}
	t.Logf("%d writes beside", written)
}

func TestCompactedFileIsHeldAsTheOldOneWas(t *testing.T) {
	path, f := grown(t)
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	var held *state.HeldError
	if _, err := state.Open(path, anyKey); !errors.As(err, &held) {
		t.Errorf("opening it once more: %v, want a HeldError", err)
	}
}

func TestCompactRemovesWhatACrashHasLeft(t *testing.T) {
	path, f := grown(t)
	if err := os.WriteFile(path+".compact", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".compact"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestCompactOfALostFileIsRefused(t *testing.T) {
	path, f := grown(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Compact(t.Context()); !errors.Is(err, state.ErrUnlinked) {
		t.Errorf("got %v, want ErrUnlinked", err)
	}
}
