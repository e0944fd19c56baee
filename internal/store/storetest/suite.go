// Package storetest tests the promises of [secret.Store], the same for every
// store. A store's own test is then a few lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(*testing.T) secret.Store { return memory.New() })
//	}
//
// Start reading at promises: each name states a promise, and its function is in
// the file of its subject. A new promise in the interface's comments needs a line
// there and a store in the table of mutants that breaks it, which proves that the
// test can fail.
//
// The interface leaves these points open, so the suite does not test them:
//
//   - A call with a cancelled context either fails or does its work. The error is
//     unspecified, and so is the outcome of a call cancelled while it runs.
//   - A write that changes nothing may or may not make a new revision.
//   - Times may be truncated to seconds.
//   - The pages of a list may show different moments.
package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Suite tests one kind of store.
type Suite struct {
	// Open returns an empty store. The suite closes it.
	Open func(t *testing.T) secret.Store

	// Reopen closes a durable store and opens it again.
	Reopen func(t *testing.T, st secret.Store) secret.Store

	// RenameInTwoSteps declares that a reader may see a secret under both names during a
	// rename. A reader always sees it under at least one, and nothing else is relaxed.
	RenameInTwoSteps bool
}

// Run tests a store that declares no exceptions.
func Run(t *testing.T, open func(t *testing.T) secret.Store) { Suite{Open: open}.Run(t) }

// Run tests each promise on a new store.
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

// T is the part of [testing.T] that a promise needs. The test of the suite itself
// passes a recorder, because there a store is meant to fail.
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
	oneStepRename bool // does not apply to a store that renames in two steps
}

// A durablePromise is a promise about the content after reopening.
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
