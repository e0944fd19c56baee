package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// calls collects the rows of each call of a watcher. Commits call it one at a time.
type calls []string

func (c *calls) watch(rows []state.Row) {
	var call []string
	for _, r := range rows {
		text := "deleted"
		if r.Value != nil {
			text = fmt.Sprintf("%q", r.Value)
		}
		call = append(call, string(r.Key)+"="+text)
	}
	*c = append(*c, strings.Join(call, " "))
}

func TestWatcherGetsTheRowsAsEachCommitLeftThem(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	var all, again calls
	f.Watch("test", all.watch)
	f.Watch("test", again.watch)
	f.Watch("other", func([]state.Row) { t.Error("another bucket has changed") })
	update := func(fn func(b *state.Bucket) error) {
		t.Helper()
		err := f.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return fn(&b)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := []byte("a"), []byte("b"), []byte("c")
	update(func(rows *state.Bucket) error { return errors.Join(rows.Put(b, b), rows.Put(a, a), rows.Put(a, b)) })
	update(func(rows *state.Bucket) error {
		value := rows.Get(b) // lies in the mapped file
		return errors.Join(rows.Put(c, value), rows.Delete(a), rows.Delete([]byte("nothing")))
	})
	update(func(rows *state.Bucket) error {
		return errors.Join(rows.Put(a, nil), rows.Delete(c), rows.Put(c, c), rows.Put(b, b), rows.Delete(b))
	})
	update(func(*state.Bucket) error { return nil })
	want := calls{`a="b" b="b"`, `a=deleted c="b"`, `a="" b=deleted c="c"`}
	if !slices.Equal(all, want) || !slices.Equal(again, want) {
		t.Errorf("got %q and %q, want %q", all, again, want)
	}
}

// While one commit is delayed, the other changes queue for the next.
func TestWatcherSeesWhatIsOnDiskBeforeUpdateReturns(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	var mu sync.Mutex
	seen := map[string]int{}
	f.Watch("test", func(rows []state.Row) {
		for _, r := range rows {
			if got := get(t, f, string(r.Key)); got != string(r.Value) {
				t.Errorf("%s is %q on disk, and the watcher got %q", r.Key, got, r.Value)
			}
			mu.Lock()
			seen[string(r.Key)]++
			mu.Unlock()
		}
	})
	hold, held := make(chan struct{}), make(chan struct{})
	first := true
	var all sync.WaitGroup
	all.Go(func() {
		err := f.Update(t.Context(), func(tx *state.Tx) error {
			if first {
				first = false
				close(held)
				<-hold
			}
			return put("first", "first")(tx)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	for n := range 20 {
		key := fmt.Sprint(n)
		all.Go(func() {
			if err := f.Update(t.Context(), put(key, key)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[key] != 1 {
				t.Errorf("Update of %s has returned, and the watcher was called %d times for it", key, seen[key])
			}
		})
		all.Go(func() {
			refused := func(tx *state.Tx) error {
				return errors.Join(put("refused", key)(tx), put(key, "refused")(tx), errors.ErrUnsupported)
			}
			if err := f.Update(t.Context(), refused); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
			}
		})
	}
	close(hold)
	all.Wait()
	if len(seen) != 21 || seen["refused"] != 0 {
		t.Errorf("the watcher was called for %v", seen)
	}
}

// Memory may then differ from the disk, so no change is acknowledged, and no caller waits
// forever.
func TestPanicOfAWatcherEndsAllJobsAndBreaksTheFile(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	f.Watch("test", func([]state.Row) { panic("boom") })
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if err := f.Update(t.Context(), put(fmt.Sprint(n), "v")); !errors.Is(err, state.ErrBroken) {
				t.Errorf("the change itself: %v, want ErrBroken", err)
			}
		})
	}
	all.Wait()
	select {
	case <-f.Broken():
	default:
		t.Error("the file is not broken")
	}
	if err := f.Update(t.Context(), put("b", "b")); !errors.Is(err, state.ErrBroken) {
		t.Errorf("a later change: %v", err)
	}
	if err := f.Close(); !errors.Is(err, state.ErrBroken) {
		t.Errorf("closing: %v", err)
	}
}
