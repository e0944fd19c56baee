package keyring_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

var (
	ctx   = context.Background()
	place = seal.Place("here")
)

// A source returns a fixed key.
type source struct{ key *seal.Key }

func (s source) Key(context.Context) (*seal.Key, error) { return s.key, nil }

// A file is the part of a state file that the keyring uses.
type file struct {
	mu       sync.Mutex
	wrapped  []byte
	err      error // of the next write
	watchers []func([]byte)
}

func (f *file) ID() string { return "state-1" }

func (f *file) Keyring() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.wrapped), nil
}

func (f *file) SwapKeyring(_ context.Context, before, after []byte) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || !slices.Equal(f.wrapped, before) {
		return false, f.err
	}
	f.wrapped = slices.Clone(after)
	for _, fn := range f.watchers {
		fn(f.wrapped)
	}
	return true, nil
}

func (f *file) Hold(fn func() error) error { return fn() }

func (f *file) WatchKeyring(fn func([]byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers, fn)
}

func mustMake(t *testing.T) (*file, *seal.Key) {
	t.Helper()
	kek := seal.NewKey()
	wrapped, _, err := keyring.New(ctx, source{kek}, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	return &file{wrapped: wrapped}, kek
}

func mustOpen(t *testing.T, f *file, kek *seal.Key) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Open(ctx, f, source{kek})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantOpens(t *testing.T, r *seal.Ring, sealed []byte) {
	t.Helper()
	if text, err := r.Open(sealed, place); err != nil || string(text) != "text" {
		t.Errorf("it does not open: %v", err)
	}
}

func TestNextProcessOpensRecordsOfARotatedKeyring(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	ring := k.Ring()
	first := ring.Seal([]byte("text"), place)
	for want := uint32(2); want < 5; want++ {
		if id, err := k.Rotate(ctx); err != nil || id != want || ring.Primary() != want {
			t.Fatalf("Rotate: %d, %v, and %d is the primary key", id, err, ring.Primary())
		}
		sealed := ring.Seal([]byte("text"), place)
		again := mustOpen(t, f, kek).Ring()
		for _, s := range [][]byte{first, sealed} {
			wantOpens(t, ring, s)
			wantOpens(t, again, s)
		}
	}
}

func TestPruneKeepsOnlyThePrimaryKey(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	old, mac := k.Ring().Seal([]byte("text"), place), k.Ring().MAC([]byte("name"))
	for range 2 {
		if _, err := k.Rotate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sealed := k.Ring().Seal([]byte("text"), place)
	if _, err := k.Prune(ctx, 2); !errors.Is(err, keyring.ErrChanged) || len(k.Ring().IDs()) != 3 {
		t.Errorf("Prune with everything sealed by another key: %v, and there are %v", err, k.Ring().IDs())
	}
	if dropped, err := k.Prune(ctx, 3); err != nil || !slices.Equal(dropped, []uint32{1, 2}) {
		t.Errorf("Prune: %v, %v", dropped, err)
	}
	for _, r := range []*seal.Ring{k.Ring(), mustOpen(t, f, kek).Ring()} {
		wantOpens(t, r, sealed)
		if _, err := r.Open(old, place); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("a key that was forgotten opens: %v", err)
		}
		if r.MAC([]byte("name")) != mac {
			t.Error("names are not found any more")
		}
	}
	if dropped, err := k.Prune(ctx, 3); err != nil || len(dropped) > 0 {
		t.Errorf("Prune again: %v, %v", dropped, err)
	}
	// Key ids are never reused. Otherwise pieces of an old backup could pass as new ones.
	if id, err := k.Rotate(ctx); err != nil || id != 4 {
		t.Errorf("Rotate: %d, %v, want 4", id, err)
	}
}

func TestRewrapChangesOnlyTheKeyEncryptionKey(t *testing.T) {
	f, old := mustMake(t)
	k, kek := mustOpen(t, f, old), seal.NewKey()
	sealed := k.Ring().Seal([]byte("text"), place)
	if err := k.Rewrap(ctx, kek); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(ctx, f, source{old}); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("the old key: %v, want ErrWrongKey", err)
	}
	wantOpens(t, mustOpen(t, f, kek).Ring(), sealed)
	if _, err := k.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	wantOpens(t, mustOpen(t, f, kek).Ring(), sealed) // no longer with the old key
}

// A key that is not on disk must not be used for sealing.
func TestChangeThatCannotBeStoredHasNoEffect(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	before := slices.Clone(f.wrapped)
	f.err = errors.New("no room")
	for what, change := range map[string]func() error{
		"Rotate": func() error { _, err := k.Rotate(ctx); return err },
		"Prune":  func() error { _, err := k.Prune(ctx, 1); return err },
		"Rewrap": func() error { return k.Rewrap(ctx, seal.NewKey()) },
	} {
		if err := change(); !errors.Is(err, f.err) {
			t.Errorf("%s: %v, want %v", what, err, f.err)
		}
		if got := k.Ring().IDs(); !slices.Equal(got, []uint32{1}) || !slices.Equal(f.wrapped, before) {
			t.Errorf("after %s there are the keys %v", what, got)
		}
	}
	f.err = nil
	if _, err := k.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, f, kek) // the key that Rewrap could not store is not used
}

func TestRotationDoesNotChangeTheRingOfABackup(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	if _, err := k.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	ring, wrapped, err := k.ForBackup()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := k.Rewrap(ctx, seal.NewKey()); err != nil {
		t.Fatal(err)
	}
	opener, err := seal.Unwrap(wrapped, kek, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	wantOpens(t, opener, ring.Seal([]byte("text"), place))
	if got := opener.IDs(); !slices.Equal(got, []uint32{2}) {
		t.Errorf("it has the keys %v, want the primary one only", got)
	}
}

func TestRotateDuringSealing(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for range 50 {
				if _, err := k.Rotate(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		working.Go(func() {
			for range 200 {
				wantOpens(t, k.Ring(), k.Ring().Seal([]byte("text"), place))
			}
		})
	}
	working.Wait()
	if got := len(mustOpen(t, f, kek).Ring().IDs()); got != 201 {
		t.Errorf("%d keys, want 201: a rotation was lost", got)
	}
}

// An overtaken file is changed by another process before each change of this one.
type overtaken struct {
	*state.File
	by func()
}

func (f overtaken) SwapKeyring(ctx context.Context, before, after []byte) (bool, error) {
	f.by()
	return f.File.SwapKeyring(ctx, before, after)
}

func mustCreateFile(t *testing.T) (*state.File, *seal.Key) {
	t.Helper()
	kek, path := seal.NewKey(), filepath.Join(t.TempDir(), "state.db")
	err := statetest.Create(path, func(id string) ([]byte, error) {
		wrapped, _, err := keyring.New(ctx, source{kek}, id)
		return wrapped, err
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, kek
}

// Two processes that share the state have a Keyring each.
func TestChangeOfAnOutdatedKeyringIsRefused(t *testing.T) {
	for name, change := range map[string]func(*keyring.Keyring) error{
		"Rotate": func(k *keyring.Keyring) error { _, err := k.Rotate(ctx); return err },
		"Prune":  func(k *keyring.Keyring) error { _, err := k.Prune(ctx, 1); return err },
		"Rewrap": func(k *keyring.Keyring) error { return k.Rewrap(ctx, seal.NewKey()) },
	} {
		f, kek := mustCreateFile(t)
		other, err := keyring.Open(ctx, f, source{kek})
		if err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		one, err := keyring.Open(ctx, overtaken{f, func() {
			if _, err := other.Rotate(ctx); err != nil {
				t.Error(err)
			}
			sealed = other.Ring().Seal([]byte("text"), place)
		}}, source{kek})
		if err != nil {
			t.Fatal(err)
		}
		if err := change(one); !errors.Is(err, keyring.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
		again, err := keyring.Open(ctx, f, source{kek})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, k := range []*keyring.Keyring{one, other, again} {
			wantOpens(t, k.Ring(), sealed)
			if got := k.Ring().IDs(); !slices.Equal(got, []uint32{1, 2}) {
				t.Errorf("%s: it has the keys %v, want 1 and 2", name, got)
			}
		}
	}
}

func TestKeyringRewrappedElsewhereBreaksTheFile(t *testing.T) {
	f, kek := mustCreateFile(t)
	one, err := keyring.Open(ctx, f, source{kek})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(ctx, f, source{kek}); err != nil {
		t.Fatal(err)
	}
	if err := one.Rewrap(ctx, seal.NewKey()); !errors.Is(err, state.ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
}

// A changedSource is a source whose key an operator replaces.
type changedSource struct{ source *source }

func (s changedSource) Key(context.Context) (*seal.Key, error) { return s.source.key, nil }

func TestKeyringRewrappedElsewhereIsOpenedWithTheNewKeyOfTheSource(t *testing.T) {
	f, kek := mustCreateFile(t)
	now := &source{kek}
	one, err := keyring.Open(ctx, f, changedSource{now})
	if err != nil {
		t.Fatal(err)
	}
	other, err := keyring.Open(ctx, f, source{kek})
	if err != nil {
		t.Fatal(err)
	}
	next := seal.NewKey()
	now.key = next
	if err := other.Rewrap(ctx, next); err != nil {
		t.Fatal(err)
	}
	if id, err := one.Rotate(ctx); err != nil || !slices.Contains(other.Ring().IDs(), id) {
		t.Errorf("a rotation after it: key %d, %v; the other has %v", id, err, other.Ring().IDs())
	}
	if err := keyring.Check(ctx, f, source{next}); err != nil {
		t.Error(err)
	}
}

func TestKeyringOfAnotherFileIsRejected(t *testing.T) {
	f, kek := mustMake(t)
	wrapped, _, err := keyring.New(ctx, source{kek}, "state-2")
	if err != nil {
		t.Fatal(err)
	}
	f.wrapped = wrapped
	if _, err := keyring.Open(ctx, f, source{kek}); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("got %v, want ErrWrongKey", err)
	}
}

func TestKeyComesFromItsSourceOrTheErrorNamesTheSource(t *testing.T) {
	dir := t.TempDir()
	key := seal.NewKey().Encode()
	path := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(p, []byte(text), 0o600), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Setenv("STATE_KEY", key+"\n")
	t.Setenv("BAD_KEY", "hunter2")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, tc := range []struct {
		name   string
		source keyring.Source
		says   string
	}{
		{"a file", keyring.FromFile(path("a", key, 0o600)), ""},
		{"a file of a group", keyring.FromFile(path("b", key+"\n", 0o640)), ""},
		{"a file for reading only", keyring.FromFile(path("c", key, 0o400)), ""},
		{"a file that others can access", keyring.FromFile(path("d", key, 0o604)), "d (mode 0604): run chmod 600 on it"},
		{"a file that its group may write", keyring.FromFile(path("e", key, 0o660)), "e (mode 0660)"},
		{"a file that is none", keyring.FromFile(filepath.Join(dir, "none")), "none: no such file"},
		{"a directory", keyring.FromFile(dir), ""},
		{"a file with something else", keyring.FromFile(path("f", "hunter2", 0o600)), "want 32 bytes in base64"},
		{"a variable", keyring.FromEnv("STATE_KEY"), ""},
		{"a variable that is not set", keyring.FromEnv("NO_KEY"), "the environment variable NO_KEY is not set"},
		{"a variable with something else", keyring.FromEnv("BAD_KEY"), "want 32 bytes in base64"},
		{"a credential", keyring.FromCredential("a"), ""},
		{"a credential that was not passed", keyring.FromCredential("z"), "z: no such file"},
	} {
		got, err := tc.source.Key(ctx)
		switch {
		case tc.name == "a directory":
			if err == nil {
				t.Errorf("%s: no error", tc.name)
			}
		case tc.says == "" && (err != nil || got.Encode() != key):
			t.Errorf("%s: %v", tc.name, err)
		case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v, want … %s …", tc.name, err, tc.says)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := keyring.FromCredential("a").Key(ctx); err == nil || !strings.Contains(err.Error(), "CREDENTIALS_DIRECTORY is not set") {
		t.Errorf("without credentials: %v", err)
	}
}

func FuzzStoredKeyring(f *testing.F) {
	kek := seal.NewKey()
	wrapped, _, err := keyring.New(ctx, source{kek}, "state-1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrapped)
	f.Add(wrapped[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		_, err := keyring.Open(ctx, &file{wrapped: stored}, source{kek})
		if (err == nil) != slices.Equal(stored, wrapped) || (err != nil && !errors.Is(err, seal.ErrWrongKey)) {
			t.Errorf("%d bytes: %v", len(stored), err)
		}
	})
}

// The watcher of a checked keyring would stop the server at the next rewrap.
func TestCheckDoesNotFollowTheFile(t *testing.T) {
	f, kek := mustMake(t)
	k := mustOpen(t, f, kek)
	if err := keyring.Check(ctx, f, source{kek}); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Check(ctx, f, source{seal.NewKey()}); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if err := k.Rewrap(ctx, seal.NewKey()); err != nil {
		t.Errorf("rewrapping after a check: %v", err)
	}
}
