package issued_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/memory"
)

var (
	_ issued.Ring = (*seal.Ring)(nil)
	_ issued.Log  = (*audit.Log)(nil)

	root  = secret.Administrator("root")
	alice = secret.User("alice")
	kek   = seal.NewKey()
)

// A fakeClock is set by hand.
type fakeClock struct {
	mu      sync.Mutex // guards the fields below
	wall    time.Time
	elapsed time.Duration
}

func newClock() *fakeClock {
	return &fakeClock{wall: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) clock() issued.Clock {
	return issued.Clock{
		Wall:    func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.wall },
		Elapsed: func() time.Duration { c.mu.Lock(); defer c.mu.Unlock(); return c.elapsed },
	}
}

// pass advances both clocks.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.elapsed = c.wall.Add(d), c.elapsed+d
}

// step sets only the wall clock, ahead or back.
func (c *fakeClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// reboot resets the elapsed time, as a new process does.
func (c *fakeClock) reboot() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed = 0
}

// A stack is a Keys with its dependencies and a store of secrets.
type stack struct {
	*issued.Keys
	path  string
	file  *state.File
	ring  *seal.Ring
	log   *audit.Log
	store *bolt.Store
}

func newStack(t *testing.T, clock issued.Clock) *stack {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	err := statetest.Create(path, func(id string) ([]byte, error) { return seal.NewRing().Wrap(kek, id) })
	if err != nil {
		t.Fatal(err)
	}
	return openStack(t, path, clock)
}

func openStack(t *testing.T, path string, clock issued.Clock) *stack {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	file, err := statetest.Open(path)
	must(err)
	wrapped, err := file.Keyring()
	must(err)
	ring, err := seal.Unwrap(wrapped, kek, file.ID())
	must(err)
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	keys, err := issued.Open(file, ring, log, clock, slog.New(slog.DiscardHandler))
	must(err)
	store := bolt.Open(file, "embedded", ring, log, bolt.Options{})
	s := &stack{keys, path, file, ring, log, store}
	t.Cleanup(func() { _ = s.close() })
	return s
}

func (s *stack) close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.Keys.Close(), s.log.Close(), s.file.Close())
	s.file = nil
	return err
}

func (s *stack) mustReopen(t *testing.T, clock issued.Clock) *stack {
	t.Helper()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return openStack(t, s.path, clock)
}

// mustCrash opens a copy of the state as it is on disk at this moment.
func (s *stack) mustCrash(t *testing.T, clock issued.Clock) *stack {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	to := state.Files(path)
	for i, from := range state.Files(s.path) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return openStack(t, path, clock)
}

func (s *stack) service() *secret.Service { return secret.NewService(s.store, s.log) }

func (s *stack) mustHold(t *testing.T, refs ...secret.Ref) {
	t.Helper()
	for _, ref := range refs {
		draft := secret.Draft{Data: map[string]secret.Value{"value": secret.Value("value of " + ref.Name)}}
		if _, err := s.store.Create(t.Context(), secret.Op{Ref: ref}, draft); err != nil {
			t.Fatal(err)
		}
	}
}

// knows returns the caller of the key.
func (s *stack) knows(key string) (secret.Caller, bool) { return s.Find(apikey.HashOf(key), "psk") }

func (s *stack) wantKnown(t *testing.T, key string, want bool, when string) {
	t.Helper()
	if _, got := s.knows(key); got != want {
		t.Errorf("%s: the key works: %v, want %v", when, got, want)
	}
}

func on(owner secret.Owner, name string) secret.Ref { return secret.Ref{Owner: owner, Name: name} }

var everything = []grant.Line{{Actions: secret.Actions(), Owner: "user/alice"}}

func (s *stack) mustCreate(t *testing.T, d issued.Draft) (key string, created issued.Key) {
	t.Helper()
	if d.Subject == "" {
		d.Subject = "ci"
	}
	if d.Grants == nil {
		d.Grants = everything
	}
	key, created, err := s.Create(t.Context(), root, d)
	if err != nil {
		t.Fatal(err)
	}
	return key, created
}

func (s *stack) mustCreateAgent(t *testing.T, d issued.AgentDraft) (key string, created issued.Key) {
	t.Helper()
	d.Owner = alice
	if d.Names == nil {
		d.Names = []string{"db"}
	}
	if d.Lifetime == 0 {
		d.Lifetime = time.Hour
	}
	key, created, err := s.CreateAgent(t.Context(), root, d)
	if err != nil {
		t.Fatal(err)
	}
	return key, created
}

// elsewhere returns a service on a store that does not record. It has alice's db.
func (s *stack) elsewhere(t *testing.T) *secret.Service {
	t.Helper()
	st := memory.New()
	draft := secret.Draft{Data: map[string]secret.Value{"value": "value of db"}}
	if _, err := st.Create(t.Context(), secret.Op{Ref: on(alice, "db")}, draft); err != nil {
		t.Fatal(err)
	}
	return secret.NewService(st, s.log)
}
