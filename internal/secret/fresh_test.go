package secret_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

// A change proves itself that the state was up to date; an operation that only reads has to
// ask first, and so has RevealNumber, which compares the number outside of the transaction.
func TestOnlyReadsBringTheStateUpToDate(t *testing.T) {
	forEveryMethod(t, func(t *testing.T, method string) {
		var log ledger
		asked := 0
		who := caller(grant(app, all...))
		who.Fresh = func() error { asked++; return nil }
		_ = call(t, secret.NewService(filled(t), &log), who, method)
		reads := method == "RevealNumber" || slices.ContainsFunc(log.events, func(e secret.Event) bool { return e.Action.ShowsOnly() })
		if reads != (asked > 0) {
			t.Errorf("the state was brought up to date %d times, and there was a read: %v", asked, reads)
		}
		if !reads {
			return
		}
		away := errors.New("the database does not answer")
		who.Fresh = func() error { return away }
		if err := call(t, secret.NewService(untouchable{}, &log), who, method); !errors.Is(err, away) {
			t.Errorf("with an old state: %v", err)
		}
	})
}

// Check accepts an agent key without reads left, which another process may have counted.
func TestKeyThatMayWriteBackIsLookedUpAgain(t *testing.T) {
	gone := errors.New("unknown credential")
	who := caller(grant(app, all...))
	who.WriteBack = []secret.Grant{grant(app, secret.Write)}
	who.Fresh = func() error { return gone }
	if err := call(t, secret.NewService(untouchable{}, &ledger{}), who, "Replace"); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}
