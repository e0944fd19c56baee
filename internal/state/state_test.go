package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

// anyKey opens files in tests that are not about keys.
var anyKey = statetest.Key("").Unlock

func mustCreate(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	if err := statetest.Create(path, wrapped("ring")); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustCreateWith creates a file with a key.
func mustCreateWith(t *testing.T, key statetest.Key) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	if err := key.Create(path, wrapped("ring")); err != nil {
		t.Fatal(err)
	}
	return path
}

func wrapped(text string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(text), nil }
}

func mustOpen(t *testing.T, path string) *state.File {
	t.Helper()
	f, err := state.Open(path, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func put(key, value string) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		b := tx.Bucket("test")
		return b.Put([]byte(key), []byte(value))
	}
}

func get(t *testing.T, f *state.File, key string) (value string) {
	t.Helper()
	err := f.View(func(tx *state.Tx) error {
		b := tx.Bucket("test")
		value = string(b.Get([]byte(key)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestWhatIsUpdatedIsThereAfterReopening(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	id := f.ID()
	if err := f.Update(t.Context(), put("k", "v")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	if got := get(t, f, "k"); got != "v" {
		t.Errorf("got %q, want v", got)
	}
	ring, err := f.Keyring()
	if f.ID() != id || err != nil || string(ring) != "ring" {
		t.Errorf("id %q, want %q; keyring %q, %v", f.ID(), id, ring, err)
	}
}

func TestCreateNeverTouchesWhatIsThere(t *testing.T) {
	path := mustCreate(t)
	before, _ := os.ReadFile(path)
	if err := statetest.Create(path, wrapped("other")); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	after, _ := os.ReadFile(path)
	if string(before) != string(after) {
		t.Error("the file has changed")
	}
	wantOnly(t, filepath.Dir(path), "state.db")
}

func TestCreateLeavesNothingWhenItFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	failing := errors.New("no key")
	err := statetest.Create(path, func(string) ([]byte, error) { return nil, failing })
	if !errors.Is(err, failing) {
		t.Errorf("got %v, want %v", err, failing)
	}
	wantOnly(t, filepath.Dir(path))
}

func TestOneOfManyCreatorsWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for i := range 8 {
		wg.Go(func() {
			ring := fmt.Sprint("ring of ", i)
			if statetest.Create(path, wrapped(ring)) == nil {
				won <- ring
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d have won, want 1", len(won))
	}
	if ring, err := mustOpen(t, path).Keyring(); err != nil || string(ring) != <-won {
		t.Errorf("the file has %q, %v", ring, err)
	}
}

func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) {
		t.Fatalf("%d entries in the directory, %v, want %q", len(entries), err, names)
	}
	for i, e := range entries {
		if e.Name() != names[i] {
			t.Errorf("got %s, want %s", e.Name(), names[i])
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	notOurs := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(notOurs, []byte(strings.Repeat("no state file", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	open := mustCreate(t)
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	held := mustCreate(t)
	mustOpen(t, held)
	missing := filepath.Join(t.TempDir(), "missing.db")
	for _, tc := range []struct{ what, path, want string }{
		{"a missing file", missing, "there is no state file at"},
		{"a directory", t.TempDir(), "is not a regular file"},
		{"something else", notOurs, "neither of its meta pages is whole"},
		{"a file open to others", open, "run chmod 600"},
		{"a file in use", held, fmt.Sprintf("is held by process %d on host", os.Getpid())},
	} {
		f, err := state.Open(tc.path, anyKey)
		if err == nil {
			t.Errorf("%s: opened", tc.what)
			_ = f.Close()
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want … %s …", tc.what, err, tc.want)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Error("opening a missing file has made one")
	}
}

func TestFailedUpdateLeavesNothingAndDisturbsNobody(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	mine := errors.New("mine")
	var wg sync.WaitGroup
	for i := range 50 {
		good, bad, early := fmt.Sprint("good", i), fmt.Sprint("bad", i), fmt.Sprint("early", i)
		wg.Go(func() {
			if err := f.Update(t.Context(), put(good, "v")); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			err := f.Update(t.Context(), func(tx *state.Tx) error { return errors.Join(put(bad, "v")(tx), mine) })
			if !errors.Is(err, mine) {
				t.Errorf("got %v, want mine", err)
			}
		})
		wg.Go(func() {
			if err := f.Update(t.Context(), func(*state.Tx) error { return mine }); !errors.Is(err, mine) {
				t.Errorf("%s: got %v, want mine", early, err)
			}
		})
	}
	wg.Wait()
	for i := range 50 {
		if get(t, f, fmt.Sprint("good", i)) != "v" || get(t, f, fmt.Sprint("bad", i)) != "" {
			t.Fatalf("round %d: good %q, bad %q", i, get(t, f, fmt.Sprint("good", i)), get(t, f, fmt.Sprint("bad", i)))
		}
	}
}

func TestPanicReachesItsOwnCallerOnly(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("recovered %v, want boom", p)
				}
			}()
			_ = f.Update(t.Context(), func(tx *state.Tx) error {
				_ = put("boom", "v")(tx)
				panic("boom")
			})
		})
		wg.Go(func() {
			if err := f.Update(t.Context(), put(fmt.Sprint(i), "v")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := get(t, f, "boom"); got != "" {
		t.Errorf("a change that panicked left %q", got)
	}
}

// Changes queue while a commit runs, and must share the next one. The first commit is
// kept running by its own function.
func TestWaitingUpdatesShareACommit(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	began, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = f.Update(t.Context(), func(tx *state.Tx) error {
			close(began)
			<-goOn
			return put("first", "v")(tx)
		})
	})
	<-began
	transactions := map[*state.Tx]int{}
	queued := make(chan struct{}, 30)
	for i := range 30 {
		wg.Go(func() {
			ctx := announcing{t.Context(), queued}
			_ = f.Update(ctx, func(tx *state.Tx) error {
				transactions[tx]++ // one runs at a time
				return put(fmt.Sprint(i), "v")(tx)
			})
		})
	}
	for range 30 {
		<-queued
	}
	close(goOn)
	wg.Wait()
	if len(transactions) > 2 {
		t.Errorf("30 waiting updates took %d commits, want 1, or 2 if some came late", len(transactions))
	}
}

// announcing reports that Update checks its context, its last step before it queues.
type announcing struct {
	context.Context
	looked chan<- struct{}
}

func (a announcing) Done() <-chan struct{} {
	a.looked <- struct{}{}
	return a.Context.Done()
}

func TestCancelledContextKeepsAnUpdateOut(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Update(ctx, put("k", "v")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if got := get(t, f, "k"); got != "" {
		t.Errorf("it was written all the same: %q", got)
	}
}

func TestClosedFileRefuses(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Update": f.Update(t.Context(), put("k", "v")),
		"View":   f.View(func(*state.Tx) error { return nil }),
		"Close":  f.Close(),
	} {
		if !errors.Is(err, state.ErrClosed) || !errors.Is(err, secret.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrClosed", what, err)
		}
	}
}

func TestSweepSeesEveryRowAndKeepsWhatItDidBeforeAnError(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	const rows = 150
	for i := range rows {
		if err := f.Update(t.Context(), put(fmt.Sprintf("%03d", i), "old")); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	var steps []int
	renew := func(until int) func(*state.Tx, []byte, []byte) error {
		return func(tx *state.Tx, key, value []byte) error {
			if len(seen) == until {
				return errors.ErrUnsupported
			}
			seen = append(seen, string(key))
			b := tx.Bucket("test")
			return b.Put(key, append(value, " and new"...))
		}
	}
	progress := func(rows int) { steps = append(steps, rows) }
	if err := f.Sweep(t.Context(), "test", renew(-1), progress); err != nil {
		t.Fatal(err)
	}
	if len(seen) != rows || !slices.IsSorted(seen) || len(slices.Compact(seen)) != rows || !slices.Equal(steps, []int{64, 128, 150}) {
		t.Errorf("%d rows in steps of %v", len(seen), steps)
	}
	seen = nil
	if err := f.Sweep(t.Context(), "test", renew(100), progress); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error of a row became %v", err)
	}
	for key, want := range map[string]string{"000": "old and new and new", "063": "old and new and new", "064": "old and new", "149": "old and new"} {
		if got := get(t, f, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestBucketsGoInOrder(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		for _, k := range []string{"b", "a", "ab", "b\xff", "c"} {
			if err := b.Put([]byte(k), []byte("v")); err != nil {
				return err
			}
		}
		return b.Delete([]byte("nothing"))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.View(func(tx *state.Tx) error {
		b, empty := tx.Bucket("test"), tx.Bucket("empty")
		var prefixed, from string
		for k := range b.Prefix([]byte("b")) {
			prefixed += fmt.Sprintf("%q", k)
		}
		for k := range b.From([]byte("aa")) {
			from += fmt.Sprintf("%q", k)
		}
		last, _ := b.Last()
		if prefixed != `"b""b\xff"` || from != `"ab""b""b\xff""c"` || string(last) != "c" {
			t.Errorf("Prefix %s, From %s, Last %q", prefixed, from, last)
		}
		for k := range empty.From([]byte{0}) {
			t.Errorf("an empty bucket has %q", k)
		}
		return nil
	})
}
