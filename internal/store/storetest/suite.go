// Package storetest holds the promises of [secret.Store] as tests, the same
// for every store. A store's own test is then a few lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(*testing.T) secret.Store { return memory.New() })
//	}
//
// Start reading at promises: the names say what is promised, and each is a
// function in the file of its subject. A new promise in the interface's
// comments is a new line there, and a store that breaks it belongs in the
// table of mutants, or nobody knows whether the test can fail.
//
// What the suite does not ask, because the interface does not promise it:
//
//   - A call whose context was cancelled before may fail or may do its work,
//     as long as it does the one or the other. Which error it is, and what
//     becomes of a call whose context is cancelled on the way, is open.
//   - A write that changes nothing may or may not make a new revision.
//   - Times may be kept to the second.
//   - Several pages of a list are not of one moment.
package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Suite tests one kind of store.
type Suite struct {
	// Open returns an empty store, which the suite closes.
	Open func(t *testing.T) secret.Store

	// Reopen, of a durable store, closes it and opens what it left behind.
	Reopen func(t *testing.T, st secret.Store) secret.Store

	// RenameInTwoSteps declares that a reader may see a secret under both
	// names while it is being renamed. Never under neither, and nothing else
	// is relaxed.
	RenameInTwoSteps bool
}

// Run tests a store that has nothing to declare.
func Run(t *testing.T, open func(t *testing.T) secret.Store) { Suite{Open: open}.Run(t) }

// Run tests each promise on a store of its own.
func (s Suite) Run(t *testing.T) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			if p.oneStepRename && s.RenameInTwoSteps {
				t.Skip("the store declares that it renames in two steps")
			}
			st := s.Open(t)
			t.Cleanup(func() { closeStore(t, st) })
			p.check(t, st)
		})
	}
	for _, p := range durable() {
		t.Run(p.name, func(t *testing.T) {
			if s.Reopen == nil {
				t.Skip("the store is not durable")
			}
			st := s.Open(t)
			t.Cleanup(func() { closeStore(t, st) })
			p.check(t, st, func() secret.Store {
				st = s.Reopen(t, st)
				return st
			})
		})
	}
}

func closeStore(t *testing.T, st secret.Store) {
	if err := st.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// T is what a promise needs of a [testing.T]. The test of the suite itself
// passes a recorder, since there a store is meant to fail.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// A promise is checked on an empty store.
type promise struct {
	name          string
	check         func(t T, st secret.Store)
	oneStepRename bool // not made by a store that renames in two steps
}

// A durablePromise is one about what is left after reopening.
type durablePromise struct {
	name  string
	check func(t T, st secret.Store, reopen func() secret.Store)
}

func promises() []promise {
	return slices.Concat(
		keeping(), naming(), owning(), listing(),
		creating(), replacing(), describing(), deleting(),
		refusing(), revising(), copying(), cancelling(),
		racing(), renaming(), recording(), awaiting(),
	)
}
