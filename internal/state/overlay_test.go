package state_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// A model is the content of one bucket.
type model map[string]string

func (m model) from(start string) (all []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k >= start {
			all = append(all, k+"="+m[k])
		}
	}
	return all
}

// wantLike compares all ways of reading a bucket with the model.
func (m model) wantLike(t *testing.T, b *state.Bucket, random *rand.Rand) {
	t.Helper()
	start := key(random)
	var got, prefixed, wantPrefixed []string
	for k, v := range b.From([]byte(start)) {
		got = append(got, string(k)+"="+string(v))
	}
	if want := m.from(start); !slices.Equal(got, want) {
		t.Errorf("from %q: %q, want %q", start, got, want)
	}
	prefix := start[:len(start)-1]
	for k, v := range b.Prefix([]byte(prefix)) {
		prefixed = append(prefixed, string(k)+"="+string(v))
	}
	for _, row := range m.from(prefix) {
		if strings.HasPrefix(row, prefix) {
			wantPrefixed = append(wantPrefixed, row)
		}
	}
	if !slices.Equal(prefixed, wantPrefixed) {
		t.Errorf("prefix %q: %q, want %q", prefix, prefixed, wantPrefixed)
	}
	if v := b.Get([]byte(start)); string(v) != m[start] {
		t.Errorf("%q is %q, want %q", start, v, m[start])
	} else if _, ok := m[start]; ok != (v != nil) {
		t.Errorf("%q: nil is %v, but its presence %v", start, v == nil, ok)
	}
	last, value := b.Last()
	all := m.from("")
	if got, want := string(last)+"="+string(value), append([]string{"="}, all...)[len(all)]; got != want {
		t.Errorf("last %q, want %q", got, want)
	}
}

func key(random *rand.Rand) string { return fmt.Sprintf("k%02d", random.IntN(60)) }

// Rows in bbolt, in the frozen overlay, in the live one and in the transaction read like
// one sorted bucket.
func TestLayersReadAsOneBucket(t *testing.T) {
	for seed := range uint64(sized(3, 100)) {
		random := rand.New(rand.NewPCG(seed, 5))
		path := mustCreate(t)
		f, err := state.OpenIdle(path, anyKey)
		if err != nil {
			t.Fatal(err)
		}
		held := model{}
		for range 200 {
			switch random.IntN(12) {
			case 0:
				err = f.Checkpoint()
			case 1:
				err = f.FreezeOnly()
			default:
				err = f.Update(t.Context(), held.change(t, random))
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = f.View(func(tx *state.Tx) error {
				b := tx.Bucket("test")
				held.wantLike(t, &b, random)
				if err := b.Put([]byte("k"), nil); err == nil {
					t.Error("a View can write")
				}
				return nil
			})
		}
		if err := f.Abandon(); err != nil {
			t.Fatal(err)
		}
		f = mustOpen(t, path)
		_ = f.View(func(tx *state.Tx) error {
			b := tx.Bucket("test")
			held.wantLike(t, &b, random)
			return nil
		})
		if t.Failed() {
			t.Fatalf("that was with seed %d", seed)
		}
	}
}

// change returns a function that writes, reads between its writes and, in one of four
// times, fails.
func (m model) change(t *testing.T, random *rand.Rand) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		b, next := tx.Bucket("test"), maps.Clone(m)
		for range 1 + random.IntN(6) {
			k := key(random)
			var err error
			if random.IntN(3) == 0 {
				delete(next, k)
				err = b.Delete([]byte(k))
			} else {
				next[k] = strings.Repeat("x", random.IntN(3))
				err = b.Put([]byte(k), []byte(next[k]))
			}
			if err != nil {
				return err
			}
			next.wantLike(t, &b, random)
		}
		clear(m)
		maps.Copy(m, next)
		return nil
	}
}

func TestBucketVisitsWhatWasThereWhenItBegan(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	mustUpdate(t, f, func(tx *state.Tx) error {
		b := tx.Bucket("test")
		for n := range 100 {
			if err := b.Put(fmt.Appendf(nil, "k%02d", n), []byte("v")); err != nil {
				return err
			}
		}
		visited := 0
		for k := range b.From([]byte{0}) {
			visited++
			if err := errors.Join(b.Delete(k), b.Put(append(slices.Clone(k), '+'), []byte("v"))); err != nil {
				return err
			}
		}
		if visited != 100 {
			t.Errorf("visited %d rows, want 100", visited)
		}
		return nil
	})
}

// A reader that was delayed between the generation and bbolt reads the generation or
// begins again.
func TestOldGenerationIsReadAsItWasOrNotAtAll(t *testing.T) {
	for name, then := range map[string]struct {
		do func(f *state.File) error
		ok bool
	}{
		"nothing":               {func(*state.File) error { return nil }, true},
		"a change":              {func(f *state.File) error { return f.Update(t.Context(), put("k", "new")) }, true},
		"a part of its rows":    {func(f *state.File) error { return f.CheckpointInSlices(1, func() {}) }, false},
		"a checkpoint":          {(*state.File).Checkpoint, false},
		"a large change":        {func(f *state.File) error { return f.Update(t.Context(), put("k", strings.Repeat("v", 1<<20))) }, false},
		"two changes and moves": {func(f *state.File) error { return errors.Join(f.Update(t.Context(), put("k", "new")), f.Checkpoint()) }, false},
	} {
		f := mustOpen(t, mustCreate(t))
		mustUpdate(t, f, put("k", "old"))
		mustUpdate(t, f, put("more", "v"))
		old := f.Generation()
		if err := then.do(f); err != nil {
			t.Fatal(err)
		}
		var got string
		ok, err := f.ViewOf(old, func(tx *state.Tx) error {
			b := tx.Bucket("test")
			got = string(b.Get([]byte("k")))
			return nil
		})
		if err != nil || ok != then.ok || (ok && got != "old") {
			t.Errorf("after %s: %v, %q, %v, want %v", name, ok, got, err, then.ok)
		}
	}
	// A checkpoint that was going on does not make it too old.
	f, err := state.OpenIdle(mustCreate(t), anyKey)
	if err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "old"))
	if err := f.FreezeOnly(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "newer"))
	old := f.Generation()
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", "newest"))
	ok, err := f.ViewOf(old, func(tx *state.Tx) error {
		b := tx.Bucket("test")
		if got := string(b.Get([]byte("k"))); got != "newer" {
			t.Errorf("got %q, want newer", got)
		}
		return nil
	})
	if !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if err := f.FreezeOnly(); err != nil {
		t.Fatal(err)
	}
	old = f.Generation()
	if err := f.Thaw(); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, f, put("k", strings.Repeat("v", 1<<20))) // past the journal
	if ok, err := f.ViewOf(old, func(*state.Tx) error { return nil }); ok || err != nil {
		t.Errorf("with a frozen overlay over a large change: %v, %v", ok, err)
	}
	_ = f.Abandon()
}

// Readers that begin at any moment of a checkpoint see the state of one commit, and
// never an older one than before.
func TestReadsBesideCheckpointsSeeOneCommit(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	mustUpdate(t, f, counters(1))
	var acknowledged, reads atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	until := func(fn func(n int)) {
		wg.Go(func() {
			for n := 2; ; n++ {
				select {
				case <-stop:
					return
				default:
					fn(n)
				}
			}
		})
	}
	until(func(n int) {
		if err := f.Update(t.Context(), counters(n)); err != nil {
			t.Error(err)
		}
		acknowledged.Store(int64(n))
	})
	for range 2 {
		until(func(int) {
			atLeast := acknowledged.Load()
			if n := mustCount(t, f); int64(n) < atLeast {
				t.Errorf("commit %d, but %d was acknowledged", n, atLeast)
			}
			reads.Add(1)
		})
	}
	checkpoints := sized(50, 3000)
	for i := range checkpoints {
		if err := f.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			mustUpdate(t, f, put("large", strings.Repeat("v", 300<<10))) // past the journal
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d reads beside %d checkpoints and %d commits", reads.Load(), checkpoints, acknowledged.Load())
}
