package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

var (
	_ session.Ring = (*seal.Ring)(nil)
	_ session.Log  = (*audit.Log)(nil)

	alice = secret.Caller{Subject: "alice", CredentialID: "k1", From: "192.0.2.1"}
	bob   = secret.Caller{Subject: "bob", CredentialID: "k2"}
)

// A place is a state file with its sessions and its audit log.
type place struct {
	*session.Sessions
	t    *testing.T
	file *state.File
	ring *seal.Ring
	log  *audit.Log
}

func open(t *testing.T) *place {
	t.Helper()
	path, ring := filepath.Join(t.TempDir(), "strongroom.db"), seal.NewRing()
	if err := statetest.Create(path, func(id string) ([]byte, error) { return ring.Wrap(seal.NewKey(), id) }); err != nil {
		t.Fatal(err)
	}
	file, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return &place{session.Open(file, ring, log), t, file, ring, log}
}

func (p *place) mustBegin(by secret.Caller) (token string, s session.Session) {
	p.t.Helper()
	token, s, err := p.Begin(p.t.Context(), by, session.Session{Strategy: "psk", APIKey: apikey.HashOf("key of " + by.Subject)})
	if err != nil {
		p.t.Fatal(err)
	}
	return token, s
}

func (p *place) wantEnded(token, when string) {
	p.t.Helper()
	if s, err := p.Find(p.t.Context(), token); !errors.Is(err, session.ErrNone) {
		p.t.Errorf("%s: got %+v, %v, want ErrNone", when, s, err)
	}
}

func (p *place) mustFind(token, when string) session.Session {
	p.t.Helper()
	s, err := p.Find(p.t.Context(), token)
	if err != nil {
		p.t.Fatalf("%s: %v", when, err)
	}
	return s
}

func TestSessionIsFoundByItsTokenOnly(t *testing.T) {
	p := open(t)
	token, begun := p.mustBegin(alice)
	found := p.mustFind(token, "at once")
	if found != begun || found.Subject != "alice" || found.CredentialID != "k1" || found.From != "192.0.2.1" || found.APIKey != apikey.HashOf("key of alice") {
		t.Errorf("got %+v, want %+v", found, begun)
	}
	for _, wrong := range []string{"", "_", begun.ID, begun.ID + "_", token + "a", token[:len(token)-1], strings.ToUpper(token), "aaaaaaaa" + token[8:]} {
		p.wantEnded(wrong, wrong)
	}
}

func TestFileHasNeitherTokenNorSubject(t *testing.T) {
	p := open(t)
	token, _ := p.mustBegin(alice)
	text, err := os.ReadFile(p.file.Path())
	if err != nil {
		t.Fatal(err)
	}
	_, random, _ := strings.Cut(token, "_")
	for _, secret := range []string{token, random, "alice", "192.0.2.1"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the state file has %q", secret)
		}
	}
}

func TestSessionEndsWhenItIsIdleAndAfterEightHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		token, _ := p.mustBegin(alice)
		idle, _ := p.mustBegin(bob)
		for range 16 {
			p.mustFind(token, "in use")
			time.Sleep(session.Idle - 2*time.Minute)
		}
		p.wantEnded(idle, "idle")
		p.mustFind(token, "7 h 28 min old and in use")
		time.Sleep(20 * time.Minute)
		p.mustFind(token, "7 h 48 min old and in use")
		time.Sleep(12 * time.Minute)
		p.wantEnded(token, "8 h old")
	})
}

// A clock that was set back must not make a session younger.
func TestSessionIsOverAtItsEnds(t *testing.T) {
	used := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	s := session.Session{Used: used, Ends: used.Add(10 * time.Minute)}
	idle := session.Session{Used: used, Ends: used.Add(time.Hour)}
	for _, tc := range []struct {
		name string
		of   session.Session
		at   time.Duration
		want bool
	}{
		{"at once", s, 0, false},
		{"before its end", s, 10*time.Minute - 1, false},
		{"at its end", s, 10 * time.Minute, true},
		{"before it is idle", idle, session.Idle - 1, false},
		{"idle", idle, session.Idle, true},
		{"with the clock a minute back", s, -time.Minute, false},
		{"with the clock further back", s, -time.Minute - 1, true},
	} {
		if got := tc.of.Over(used.Add(tc.at)); got != tc.want {
			t.Errorf("%s: Over = %t, want %t", tc.name, got, tc.want)
		}
	}
}

// fill stores sessions of n callers, last used at the given time.
func (p *place) fill(n int, used time.Time) {
	p.t.Helper()
	err := p.file.Update(p.t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("session")
		for i := range n {
			s := session.Session{ID: fmt.Sprint("id", i), Subject: fmt.Sprint("caller ", i), Used: used, Ends: used.Add(session.Lifetime)}
			text, err := json.Marshal(s)
			if err != nil {
				return err
			}
			row := p.ring.MAC(seal.Place("session", s.ID))
			if err := rows.Put(row[:], p.ring.Seal(text, seal.Place("session", p.file.ID(), string(row[:])))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestNumberOfSessionsIsLimited(t *testing.T) {
	p := open(t)
	p.fill(session.MaxSessions-1, time.Now())
	p.mustBegin(alice)
	_, _, err := p.Begin(t.Context(), bob, session.Session{})
	if _, ok := errors.AsType[*secret.InvalidError](err); !ok {
		t.Errorf("one session too many: %v, want an InvalidError", err)
	}
	if all, err := p.List(); err != nil || len(all) != session.MaxSessions {
		t.Errorf("%d sessions, %v, want %d", len(all), err, session.MaxSessions)
	}
}

func TestASignInRemovesEndedSessions(t *testing.T) {
	p := open(t)
	p.fill(3, time.Now().Add(-session.Idle))
	p.mustBegin(alice)
	rows := 0
	if err := p.Reseal(t.Context(), func(n int) { rows = n }); err != nil || rows != 1 {
		t.Errorf("%d rows are stored, %v, want 1", rows, err)
	}
}

func TestEndEndsOnlyTheMatchingSessions(t *testing.T) {
	p := open(t)
	first, s := p.mustBegin(alice)
	second, _ := p.mustBegin(alice)
	others, _ := p.mustBegin(bob)
	ended, err := p.End(t.Context(), alice, func(o *session.Session) bool { return o.ID == s.ID })
	if err != nil || len(ended) != 1 {
		t.Fatalf("End returned %v, %v", ended, err)
	}
	p.wantEnded(first, "ended")
	p.mustFind(second, "another one")
	if _, err := p.End(t.Context(), alice, s.Same); err != nil {
		t.Fatal(err)
	}
	p.wantEnded(second, "everywhere")
	p.mustFind(others, "of another caller")
	if all, err := p.List(); err != nil || len(all) != 1 || all[0].Subject != "bob" {
		t.Errorf("List: %v, %v", all, err)
	}
}

func TestSignInAndSignOutAreInTheAuditLog(t *testing.T) {
	p := open(t)
	_, s := p.mustBegin(alice)
	if _, err := p.End(t.Context(), bob, s.Same); err != nil {
		t.Fatal(err)
	}
	entries, err := p.log.Tail(10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.Event.Subject, " ", e.Event.Action, " ", e.Event.Ref.Owner.ID == s.ID, " ", e.Event.Outcome))
	}
	if want := []string{"alice console sign in true done", "bob console sign out true done"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOneCredentialHasTwentySessionsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		var tokens []string
		for range 21 {
			token, _ := p.mustBegin(alice)
			tokens = append(tokens, token)
			time.Sleep(time.Second)
		}
		p.wantEnded(tokens[0], "the least recently used one")
		p.mustFind(tokens[1], "the next one")
		if all, err := p.List(); err != nil || len(all) != 20 {
			t.Errorf("%d sessions, %v", len(all), err)
		}
	})
}

func TestSessionsSurviveARotationOfTheKeyring(t *testing.T) {
	p := open(t)
	token, _ := p.mustBegin(alice)
	p.ring.Adopt(p.ring.Rotated())
	if err := p.Reseal(t.Context(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	pruned, _ := p.ring.Pruned()
	p.ring.Adopt(pruned)
	p.mustFind(token, "after the old key was dropped")
	if problems, err := p.Verify(); err != nil || problems != nil {
		t.Errorf("Verify: %q, %v", problems, err)
	}
}

// A row belongs to one id, so no session can be put into the place of another.
func TestAMovedRowIsNoSession(t *testing.T) {
	p := open(t)
	first, a := p.mustBegin(alice)
	second, b := p.mustBegin(bob)
	err := p.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("session")
		from, to := p.ring.MAC(seal.Place("session", a.ID)), p.ring.MAC(seal.Place("session", b.ID))
		return rows.Put(to[:], bytes.Clone(rows.Get(from[:])))
	})
	if err != nil {
		t.Fatal(err)
	}
	p.mustFind(first, "in its place")
	p.wantEnded(second, "with the row of another")
	if problems, err := p.Verify(); err != nil || len(problems) != 1 {
		t.Errorf("Verify: %q, %v", problems, err)
	}
}
