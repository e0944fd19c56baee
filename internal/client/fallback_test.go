package client_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/secret"
)

func mustKeep(t *testing.T) *client.Fallback {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(client.EnvURL, "https://strongroom.example")
	t.Setenv(client.EnvAPIKey, "srk_x")
	s, err := client.NewSession("")
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Fallback(client.Target{Owner: secret.User("")}, client.Selection{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantOpen(t *testing.T, f *client.Fallback, want string) {
	t.Helper()
	vars, _, _, err := f.Open()
	switch {
	case want == "" && (err != nil || len(vars) != 1 || vars[0].Value != "v"):
		t.Errorf("Open() has %d variables, %v, want the copy", len(vars), err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("Open() = %v, want %s", err, want)
	}
}

func TestCopyExpiresAtItsAge(t *testing.T) {
	f := mustKeep(t)
	synctest.Test(t, func(t *testing.T) {
		if err := f.Keep([]envfile.Var{{Secret: "TOKEN", Env: "TOKEN", Value: "v"}}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		wantOpen(t, f, "")
		time.Sleep(time.Nanosecond)
		wantOpen(t, f, "has expired")
	})
}

// Otherwise a clock that is moved back would let a copy live longer.
func TestCopyFromTheFutureIsNotUsed(t *testing.T) {
	f := mustKeep(t)
	for _, tc := range []struct {
		ahead time.Duration
		want  string
	}{
		{5 * time.Minute, ""},
		{5*time.Minute + time.Second, "the copy was made in the future"},
	} {
		synctest.Test(t, func(t *testing.T) { // each begins at the same time
			time.Sleep(tc.ahead)
			if err := f.Keep([]envfile.Var{{Secret: "TOKEN", Env: "TOKEN", Value: "v"}}, nil); err != nil {
				t.Fatal(err)
			}
		})
		synctest.Test(t, func(t *testing.T) { wantOpen(t, f, tc.want) })
	}
}
