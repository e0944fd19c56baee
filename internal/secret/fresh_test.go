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

// Another process has revoked the credential, which this one learns only then.
func TestCredentialIsCheckedOnTheNewestState(t *testing.T) {
	key := &credential{}
	who := caller(grant(app, all...))
	who.Credential = key
	who.Fresh = func() error { key.revoked = true; return nil }
	var log ledger
	if _, err := secret.NewService(untouchable{}, &log).List(t.Context(), who, app, secret.Page{}); !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("got %v", err)
	}
	if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Denied}) {
		t.Errorf("the audit log has %q", got)
	}
}
