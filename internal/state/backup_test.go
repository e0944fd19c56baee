package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// counters puts the same number under several distant keys. A copy that is not the
// state of one commit shows different numbers.
func counters(n int) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		for _, name := range buckets {
			b := tx.Bucket(name)
			for i := range 20 {
				if err := b.Put([]byte(fmt.Sprint("counter", i)), []byte(strings.Repeat(" ", 300)+strconv.Itoa(n))); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func mustCount(t *testing.T, f *state.File) int {
	t.Helper()
	c, err := contentOf(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, value := range c {
		seen[strings.TrimSpace(value)] = true
	}
	if len(seen) != 1 || len(c) != 20*len(buckets) {
		t.Fatalf("%d counters show %d numbers, want one", len(c), len(seen))
	}
	for value := range seen {
		n, _ := strconv.Atoi(value)
		return n
	}
	return 0
}

func TestBackupUnderLoadIsACommitPoint(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	if err := f.Update(t.Context(), counters(1)); err != nil {
		t.Fatal(err)
	}
	var acknowledged, begun atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 2; ; n++ {
			select {
			case <-stop:
				return
			default:
				begun.Store(int64(n))
				if err := f.Update(t.Context(), counters(n)); err != nil {
					t.Error(err)
				}
				acknowledged.Store(int64(n))
			}
		}
	})
	backups := sized(100, 1000)
	for range backups {
		atLeast := int(acknowledged.Load())
		var b bytes.Buffer
		if n, err := f.WriteTo(&b); err != nil || n != int64(b.Len()) {
			t.Fatalf("WriteTo: %d of %d bytes, %v", n, b.Len(), err)
		}
		atMost := int(begun.Load())
		path := filepath.Join(t.TempDir(), "restored.db")
		if err := state.Restore(path, &b, anyKey); err != nil {
			t.Fatal(err)
		}
		restored := mustOpen(t, path)
		if n := mustCount(t, restored); n < atLeast || n > max(atMost, 1) {
			t.Errorf("the backup has commit %d, want %d to %d", n, atLeast, atMost)
		}
		if restored.ID() != f.ID() {
			t.Errorf("restored %s, want %s", restored.ID(), f.ID())
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d backups beside %d commits, each restored as one commit", backups, acknowledged.Load())
}

func TestRestoreRefuses(t *testing.T) {
	var b bytes.Buffer
	if _, err := mustOpen(t, mustCreate(t)).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	torn := bytes.Clone(whole)
	torn[16] ^= 1
	for what, copied := range map[string][]byte{
		"nothing": nil, "half a copy": whole[:len(whole)/2], "all but a byte": whole[:len(whole)-1],
		"a copy with a damaged meta page": torn, "something else": []byte(strings.Repeat("no state file", 5000)),
	} {
		path := filepath.Join(t.TempDir(), "state.db")
		if err := state.Restore(path, bytes.NewReader(copied), anyKey); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", what, err)
		}
		wantOnly(t, filepath.Dir(path))
	}
	path := mustCreate(t)
	before := mustRead(t, path)
	if err := state.Restore(path, bytes.NewReader(whole), anyKey); !errors.Is(err, os.ErrExist) {
		t.Errorf("a place that is taken: %v, want ErrExist", err)
	}
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the file in the place has changed")
	}
	wantOnly(t, filepath.Dir(path), "state.db")
}

func TestKeyringIsReplacedDurably(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	var watched [][]byte
	f.WatchKeyring(func(wrapped []byte) { watched = append(watched, bytes.Clone(wrapped)) })
	for _, tc := range []struct {
		before, after string
		want          bool
	}{{"no ring", "a wrong ring", false}, {"ring", "another ring", true}, {"ring", "a late ring", false}} {
		swapped, err := f.SwapKeyring(t.Context(), []byte(tc.before), []byte(tc.after))
		if swapped != tc.want || err != nil {
			t.Fatalf("from %q to %q: %v, %v", tc.before, tc.after, swapped, err)
		}
	}
	if err := f.Update(t.Context(), put("k", "v")); err != nil { // changes another row of the header
		t.Fatal(err)
	}
	if len(watched) != 1 || string(watched[0]) != "another ring" {
		t.Errorf("the watcher got %q", watched)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if ring, err := mustOpen(t, path).Keyring(); err != nil || string(ring) != "another ring" {
		t.Errorf("got %q, %v", ring, err)
	}
}
