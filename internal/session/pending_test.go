package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/session"
)

var tokens = session.Tokens{Issuer: "https://sso.example", Access: "access-canary", Refresh: "refresh-canary", Renewed: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}

func TestTokensAreStoredSealedAndCannotBePrinted(t *testing.T) {
	p := open(t)
	token, begun, err := p.Begin(t.Context(), alice, session.Session{Strategy: "sso", Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	if found := p.mustFind(token, "at once"); found != begun || found.Tokens != tokens {
		t.Errorf("got %+v", found)
	}
	if text := fmt.Sprintf("%v %+v %#v", begun, begun, &begun); strings.Contains(text, "canary") {
		t.Errorf("a session can be printed with its tokens: %s", text)
	}
	text, err := os.ReadFile(p.file.Path())
	if err != nil || bytes.Contains(text, []byte("canary")) {
		t.Errorf("the state file has a token, or %v", err)
	}
}

// Issuers take a refresh token only once, so that requests at the same time must share it.
func TestTokensAreRenewedOnceForAllRequests(t *testing.T) {
	p := open(t)
	token, begun, err := p.Begin(t.Context(), alice, session.Session{Strategy: "sso", Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	var renewals atomic.Int32
	next := session.Tokens{Issuer: tokens.Issuer, Access: "second"}
	renew := func(_ context.Context, old session.Tokens) (session.Tokens, error) {
		if renewals.Add(1); old != tokens {
			t.Errorf("renewed %+v", old)
		}
		time.Sleep(50 * time.Millisecond) // as an issuer takes
		return next, nil
	}
	var requests sync.WaitGroup
	another := session.Open(p.file, p.ring, p.log) // as on another node
	for n := range 8 {
		sessions := []*session.Sessions{p.Sessions, another}[n%2]
		requests.Go(func() {
			if s, err := sessions.Renew(t.Context(), begun, renew); err != nil || s.Tokens != next {
				t.Errorf("%v, %v", s.Tokens.Issuer, err)
			}
		})
	}
	requests.Wait()
	if n := renewals.Load(); n != 1 {
		t.Errorf("renewed %d times, want once", n)
	}
	now := p.mustFind(token, "afterwards")
	if now.Tokens != next || now.Subject != "alice" {
		t.Errorf("the session has %q of %q", string(now.Tokens.Access), now.Subject)
	}
	refused := errors.New("refused")
	if _, err := p.Renew(t.Context(), now, func(context.Context, session.Tokens) (session.Tokens, error) { return session.Tokens{}, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want the error of the issuer", err)
	}
	if p.mustFind(token, "after an error").Tokens != next {
		t.Error("a refusal has changed the tokens")
	}
	if _, err := p.End(t.Context(), alice, func(*session.Session) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Renew(t.Context(), now, renew); !errors.Is(err, session.ErrNone) {
		t.Errorf("a session that has ended: %v", err)
	}
}

func TestPendingSignInsAreSealedAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, other := open(t), open(t)
		pending := session.Pending{Strategy: "sso", State: "state-canary", Nonce: "n", Verifier: "v", Next: "/console"}
		sealed := p.Suspend(pending)
		raw, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil || bytes.Contains(raw, []byte("canary")) {
			t.Errorf("the cookie shows the state, or %v", err)
		}
		back, err := p.Resume(sealed)
		if back.Ends = (time.Time{}); err != nil || back != pending {
			t.Errorf("got %+v, %v", back, err)
		}
		raw[len(raw)-1] ^= 1
		row := p.ring.Seal([]byte(`{"strategy":"sso"}`), seal.Place("session", p.file.ID(), "row"))
		for name, wrong := range map[string]string{
			"nothing": "", "not base64": "!", "changed": base64.RawURLEncoding.EncodeToString(raw), "cut": sealed[:40],
			"of another server": other.Suspend(pending), "a row of the state": base64.RawURLEncoding.EncodeToString(row),
		} {
			if got, err := p.Resume(wrong); !errors.Is(err, session.ErrNone) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		pending.Ends = time.Now().Add(time.Minute)
		if p.Answered(pending) || !p.Answered(pending) {
			t.Error("a sign-in can have two answers")
		}
		time.Sleep(session.PendingLifetime)
		if _, err := p.Resume(sealed); !errors.Is(err, session.ErrNone) {
			t.Errorf("after its end: %v", err)
		}
	})
}
