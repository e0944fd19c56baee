package auth_test

import (
	"errors"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// holding makes a request that reserves mib MiB while inside runs.
func holding(t *testing.T, b *auth.Budget, who string, mib int, inside func()) error {
	t.Helper()
	chain, _ := limited(none, none, none)
	chain.Budget = b
	return tryWith(chain, from("192.0.2.1:1", who), func(c echo.Context) error {
		if err := auth.Caller(c.Request().Context()).Hold(mib << 20); err != nil {
			return err
		}
		if inside != nil {
			inside()
		}
		return nil
	})
}

func TestACallerReservesNoMoreThanRemainsFree(t *testing.T) {
	b := auth.NewBudget(96 << 20)
	ask := func(who string, mib int, want error) {
		t.Helper()
		if err := holding(t, b, who, mib, nil); !errors.Is(err, want) {
			t.Errorf("%s asks for %d MiB: got %v, want %v", who, mib, err, want)
		}
	}
	wantError(t, holding(t, b, "ann", 40, func() {
		ask("ann", 8, nil)
		ask("ann", 9, secret.ErrBusy)
		ask("bob", 28, nil)
		ask("bob", 29, secret.ErrBusy)
		wantError(t, holding(t, b, "bob", 28, func() {
			ask("ann", 1, secret.ErrBusy) // it holds more than is left
			ask("cay", 14, nil)
			ask("cay", 15, secret.ErrBusy)
		}), nil)
	}), nil)
	if used := b.Used(); used != 0 {
		t.Errorf("%d bytes are held in the end", used)
	}
	ask("ann", 1000, nil) // alone, rather than never
	wantError(t, holding(t, b, "ann", 1, func() { ask("ann", 1000, secret.ErrBusy) }), nil)
	if !errors.Is(secret.ErrBusy, secret.ErrUnavailable) {
		t.Error("ErrBusy is not answered with 503")
	}
}

func TestASmallRequestReservesNoMemory(t *testing.T) {
	b := auth.NewBudget(auth.MinBudget)
	chain, _ := limited(none, none, none)
	chain.Budget = b
	err := tryWith(chain, from("192.0.2.1:1", "ann"), func(c echo.Context) error {
		caller := auth.Caller(c.Request().Context())
		for _, step := range []struct{ bytes, held int }{{3000, 0}, {1096, 0}, {1, 4097}, {1000, 5097}} {
			if err := caller.Hold(step.bytes); err != nil || b.Used() != int64(step.held) {
				t.Errorf("%d more bytes: %v, and %d are held, want %d", step.bytes, err, b.Used(), step.held)
			}
		}
		return nil
	})
	wantError(t, err, nil)
}
