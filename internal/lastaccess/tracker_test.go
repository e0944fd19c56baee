package lastaccess_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/memory"
)

var (
	_ lastaccess.Ring = (*seal.Ring)(nil)

	kek   = seal.NewKey()
	alice = secret.User("alice")
	bob   = secret.User("bob")
)

func on(owner secret.Owner, name string) secret.Ref { return secret.Ref{Owner: owner, Name: name} }

func callerOf(subject, key string) secret.Caller {
	c := secret.Caller{Subject: subject, CredentialID: key}
	for _, owner := range []secret.Owner{alice, bob} {
		c.Grants = append(c.Grants, secret.Grant{Actions: secret.Actions(), Owner: owner})
	}
	return c
}

// A stack is a Tracker with its dependencies and a store of secrets.
type stack struct {
	*lastaccess.Tracker
	path string
	file *state.File
	ring *seal.Ring
	log  *audit.Log
	*secret.Service
}

func newStack(t *testing.T) *stack {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	err := statetest.Create(path, func(id string) ([]byte, error) { return seal.NewRing().Wrap(kek, id) })
	if err != nil {
		t.Fatal(err)
	}
	return openStack(t, path)
}

func openStack(t *testing.T, path string) *stack {
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
	tracker := lastaccess.Open(file, ring)
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"), tracker.Follow)
	store := bolt.Open(file, "embedded", ring, log, bolt.Options{Versions: 1, DeletedFor: time.Hour, PastBytes: 1 << 20})
	s := &stack{tracker, path, file, ring, log, secret.NewService(store, log)}
	t.Cleanup(func() { _ = s.close() })
	return s
}

func (s *stack) close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.log.Close(), s.file.Close())
	s.file = nil
	return err
}

func (s *stack) mustReopen(t *testing.T) *stack {
	t.Helper()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return openStack(t, s.path)
}

// mustCrash opens a copy of the state as it is on disk at this moment.
func (s *stack) mustCrash(t *testing.T) *stack {
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
	return openStack(t, path)
}

func (s *stack) mustCreate(t *testing.T, refs ...secret.Ref) {
	t.Helper()
	for _, ref := range refs {
		if _, err := s.Create(t.Context(), callerOf("owner", "k"), ref, secret.Draft{Data: map[string]secret.Value{"k": "v"}}); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *stack) mustReveal(t *testing.T, subject string, ref secret.Ref) {
	t.Helper()
	if _, _, err := s.Reveal(t.Context(), callerOf(subject, "key of "+subject), ref); err != nil {
		t.Fatal(err)
	}
}

// wantLast checks the subject of the last access; empty: there must be none.
func (s *stack) wantLast(t *testing.T, ref secret.Ref, subject, when string) {
	t.Helper()
	last, ok, err := s.Last(ref)
	if err != nil || ok != (subject != "") || last.Subject != subject || (ok && (last.CredentialID != "key of "+subject || last.Time.IsZero())) {
		t.Errorf("%s: last access of %s is by %+v, %v, %v, want %q", when, ref, last, ok, err, subject)
	}
}

// inEveryState calls check at once, after a restart and after a crash.
func (s *stack) inEveryState(t *testing.T, check func(s *stack, when string)) {
	t.Helper()
	check(s, "at once")
	check(s.mustCrash(t), "after a crash")
	s = s.mustReopen(t)
	check(s, "after a restart")
	check(s.mustCrash(t), "after a restart and a crash")
}

func TestLastAccessIsKnown(t *testing.T) {
	s := newStack(t)
	db, cache, other := on(alice, "db"), on(alice, "cache"), on(bob, "db")
	s.mustCreate(t, db, cache, other)
	s.mustReveal(t, "ann", db)
	s.mustReveal(t, "ben", other)
	s.mustReveal(t, "cem", db)
	if _, _, err := s.Reveal(t.Context(), secret.Caller{Subject: "eve"}, db); err == nil {
		t.Error("eve is allowed")
	}
	if _, err := s.Head(t.Context(), callerOf("list", ""), db); err != nil {
		t.Error(err)
	}
	s.inEveryState(t, func(s *stack, when string) {
		s.wantLast(t, db, "cem", when)
		s.wantLast(t, other, "ben", when)
		s.wantLast(t, cache, "", when)
	})
}

func TestRenameKeepsTheLastAccess(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, s *stack) *stack{
		"at once":         func(_ *testing.T, s *stack) *stack { return s },
		"after a restart": func(t *testing.T, s *stack) *stack { t.Helper(); return s.mustReopen(t) },
		"after a crash":   func(t *testing.T, s *stack) *stack { t.Helper(); return s.mustCrash(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			s.mustCreate(t, on(alice, "a"), on(alice, "b"), on(alice, "gone"))
			s.mustReveal(t, "ann", on(alice, "a"))
			s.mustReveal(t, "old", on(alice, "gone"))
			s = before(t, s)
			if err := s.Delete(t.Context(), callerOf("owner", ""), on(alice, "gone"), ""); err != nil {
				t.Fatal(err)
			}
			for from, to := range map[string]string{"a": "renamed", "b": "gone"} {
				if _, err := s.Describe(t.Context(), callerOf("owner", ""), on(alice, from), "", to, ""); err != nil {
					t.Fatal(err)
				}
			}
			s.inEveryState(t, func(s *stack, when string) {
				s.wantLast(t, on(alice, "renamed"), "ann", when)
				s.wantLast(t, on(alice, "a"), "", when)
				s.wantLast(t, on(alice, "gone"), "", when)
			})
		})
	}
}

func TestDestroyedSecretsHaveNoLastAccess(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		s := newStack(t)
		s.mustCreate(t, on(alice, "a"), on(alice, "b"), on(bob, "a"), on(bob, "b"))
		for _, ref := range []secret.Ref{on(alice, "a"), on(alice, "b"), on(bob, "a"), on(bob, "b")} {
			s.mustReveal(t, "ann", ref)
		}
		if restarts {
			s = s.mustReopen(t)
		}
		err := errors.Join(s.Destroy(t.Context(), callerOf("owner", ""), on(alice, "a")), s.Erase(t.Context(), callerOf("owner", ""), bob))
		if err != nil {
			t.Fatal(err)
		}
		s.inEveryState(t, func(s *stack, when string) {
			s.wantLast(t, on(alice, "a"), "", when)
			s.wantLast(t, on(alice, "b"), "ann", when)
			s.wantLast(t, on(bob, "a"), "", when)
			s.wantLast(t, on(bob, "b"), "", when)
		})
	}
}

// A store outside of the state file passes outcomes to Note, which writes them within a
// second.
func TestLastAccessIsKnownForStoresThatDoNotRecord(t *testing.T) {
	s := newStack(t)
	s.Service = secret.NewService(memory.New(), s.log)
	s.mustCreate(t, on(alice, "a"), on(alice, "b"), on(alice, "c"))
	for _, name := range []string{"a", "b", "c"} {
		s.mustReveal(t, "ann", on(alice, name))
	}
	if _, err := s.Describe(t.Context(), callerOf("owner", ""), on(alice, "b"), "", "renamed", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Close(); err != nil { // flushes notes; a second Close is harmless
		t.Fatal(err)
	}
	s.inEveryState(t, func(s *stack, when string) {
		s.wantLast(t, on(alice, "a"), "ann", when)
		s.wantLast(t, on(alice, "b"), "", when)
		s.wantLast(t, on(alice, "c"), "ann", when)
		s.wantLast(t, on(alice, "renamed"), "ann", when)
	})
}

// The row does not depend on the audit log, whose old entries are pruned.
func TestLastAccessOutlivesItsEntry(t *testing.T) {
	s := newStack(t)
	s.mustCreate(t, on(alice, "a"))
	s.mustReveal(t, "ann", on(alice, "a"))
	if n, err := s.log.Prune(t.Context(), time.Now().Add(time.Hour), secret.Event{Subject: "admin"}); n != 2 || err != nil {
		t.Fatalf("%d pruned, %v", n, err)
	}
	s.inEveryState(t, func(s *stack, when string) { s.wantLast(t, on(alice, "a"), "ann", when) })
}

// A change set has the entry and the row, or neither.
func TestFailedReadIsNoAccess(t *testing.T) {
	s := newStack(t)
	s.mustCreate(t, on(alice, "a"))
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		e := secret.Event{Time: time.Now(), Subject: "ann", Action: secret.Reveal, Ref: on(alice, "a"), Outcome: secret.Done}
		return errors.Join(s.log.Append(tx, e), errors.ErrUnsupported)
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	s.inEveryState(t, func(s *stack, when string) { s.wantLast(t, on(alice, "a"), "", when) })
}

// Earlier versions wrote the rows once a minute, with their position in the audit log.
func TestFileOfAnEarlierVersionIsRead(t *testing.T) {
	s := newStack(t)
	s.mustCreate(t, on(alice, "a"))
	s.mustReveal(t, "ann", on(alice, "a"))
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("delivered")
		return rows.Put([]byte("audit"), []byte{0, 0, 0, 0, 0, 0, 0, 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	s = s.mustReopen(t)
	s.wantLast(t, on(alice, "a"), "ann", "at once")
	if problems, err := s.Verify(); problems != nil || err != nil {
		t.Errorf("%q, %v", problems, err)
	}
	s.ring.Adopt(s.ring.Rotated())
	if err := s.Reseal(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	s.wantLast(t, on(alice, "a"), "ann", "after a reseal")
	_ = s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket("delivered")
		if rows.Get([]byte("audit")) != nil {
			t.Error("the position is still there")
		}
		return nil
	})
}

func TestResealedRowsNoLongerNeedTheOldKey(t *testing.T) {
	s := newStack(t)
	s.mustCreate(t, on(alice, "a"), on(alice, "b"))
	s.mustReveal(t, "ann", on(alice, "a"))
	s.mustReveal(t, "ben", on(alice, "b"))
	s = s.mustReopen(t)
	s.ring.Adopt(s.ring.Rotated())
	if err := s.Reseal(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	pruned, _ := s.ring.Pruned()
	s.ring.Adopt(pruned)
	s.wantLast(t, on(alice, "a"), "ann", "sealed anew")
	if problems, err := s.Verify(); problems != nil || err != nil {
		t.Errorf("%q, %v", problems, err)
	}
}

// A row that cannot be opened would block pruning of the old key. The audit log still has
// the access.
func TestResealDropsDamagedRows(t *testing.T) {
	s := newStack(t)
	s.mustCreate(t, on(alice, "a"), on(alice, "b"))
	s.mustReveal(t, "ann", on(alice, "a"))
	s.mustReveal(t, "ben", on(alice, "b"))
	s = s.mustReopen(t)
	damaged := 0
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		damaged = 0
		rows := tx.Bucket("delivered")
		for key, sealed := range rows.From([]byte{0}) {
			if len(key) == 2*seal.MACBytes {
				damaged++
				return rows.Put(bytes.Clone(key), append(bytes.Clone(sealed), 0))
			}
		}
		return nil
	})
	if err != nil || damaged != 1 {
		t.Fatalf("%d damaged, %v", damaged, err)
	}
	if problems, err := s.Verify(); len(problems) != 1 || err != nil {
		t.Fatalf("%q, %v", problems, err)
	}
	s.ring.Adopt(s.ring.Rotated())
	if err := s.Reseal(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	if problems, err := s.Verify(); problems != nil || err != nil {
		t.Errorf("%q, %v", problems, err)
	}
}

// Jobs of one commit see the rows of the jobs before them.
func TestAccessAndChangeInOneCommit(t *testing.T) {
	event := func(action secret.Action, subject, name, renamed string) secret.Event {
		return secret.Event{
			Time: time.Now(), Subject: subject, CredentialID: "key of " + subject, Action: action, Ref: on(alice, name), NewName: renamed, Outcome: secret.Done,
		}
	}
	reveal := event(secret.Reveal, "ann", "a", "")
	for name, tc := range map[string]struct {
		events  []secret.Event
		a, b, c string
	}{
		"destroyed": {[]secret.Event{reveal, event(secret.Destroy, "owner", "a", "")}, "", "ben", ""},
		"erased":    {[]secret.Event{reveal, event(secret.Erase, "owner", "", "")}, "", "", ""},
		"renamed":   {[]secret.Event{reveal, event(secret.Write, "owner", "a", "b")}, "", "ann", ""},
		"twice":     {[]secret.Event{reveal, event(secret.Write, "owner", "a", "b"), event(secret.Write, "owner", "b", "c")}, "", "", "ann"},
		"read again": {[]secret.Event{
			reveal, event(secret.Destroy, "owner", "a", ""), event(secret.Reveal, "cem", "a", ""),
		}, "cem", "ben", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			err := s.file.Update(t.Context(), func(tx *state.Tx) error {
				err := s.log.Append(tx, event(secret.Reveal, "ben", "b", ""))
				for _, e := range tc.events {
					err = errors.Join(err, s.log.Append(tx, e))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.inEveryState(t, func(s *stack, when string) {
				s.wantLast(t, on(alice, "a"), tc.a, when)
				s.wantLast(t, on(alice, "b"), tc.b, when)
				s.wantLast(t, on(alice, "c"), tc.c, when)
			})
		})
	}
}
