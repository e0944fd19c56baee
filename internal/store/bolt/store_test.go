package bolt_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/storetest"
)

// A stack is a store with its file and audit log.
type stack struct {
	*bolt.Store
	path string
	file *state.File
	ring *seal.Ring
	log  *audit.Log
}

func (s *stack) Close() error {
	return errors.Join(s.Store.Close(), s.log.Close(), s.file.Close())
}

var kek = seal.NewKey()

func newStack(t testing.TB) *stack {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	err := statetest.Create(path, func(id string) ([]byte, error) { return seal.NewRing().Wrap(kek, id) })
	if err != nil {
		t.Fatal(err)
	}
	return openStack(t, path)
}

func openStack(t testing.TB, path string) *stack {
	t.Helper()
	file, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := file.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.Unwrap(wrapped, kek, file.ID())
	if err != nil {
		t.Fatal(err)
	}
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	return &stack{bolt.Open(file, "embedded", ring, log, bolt.Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20}), path, file, ring, log}
}

func mustClose(t *testing.T, s *stack) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	storetest.Suite{
		Open: func(t *testing.T) secret.Store { return newStack(t) },
		Reopen: func(t *testing.T, st secret.Store) secret.Store {
			s := st.(*stack)
			mustClose(t, s)
			return openStack(t, s.path)
		},
	}.Run(t)
}

// Another store of the same part stands for a change that does not go through this one.
func TestCachedReadsFollowTheFile(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	other := bolt.Open(s.file, "embedded", s.ring, s.log, bolt.Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20})
	ref := secret.Ref{Owner: secret.User("alice"), Name: "db"}
	want := func(what string, n int) {
		t.Helper()
		infos, err := s.List(t.Context(), ref.Owner, secret.Page{})
		if _, headErr := s.Head(t.Context(), ref); len(infos) != n || err != nil || (headErr == nil) != (n == 1) {
			t.Errorf("%s: %d secrets, %v, and the head: %v", what, len(infos), err, headErr)
		}
	}
	want("nothing is there", 0)
	if _, err := other.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{}); err != nil {
		t.Fatal(err)
	}
	want("created elsewhere", 1)
	want("the same again", 1)
	if err := other.Delete(t.Context(), secret.Op{Ref: ref}); err != nil {
		t.Fatal(err)
	}
	want("deleted elsewhere", 0)
}
