package issued_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

func TestIssuedKeyWorksAfterARestart(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, created := s.mustCreate(t, issued.Draft{Subject: "ci", User: "alice"})
	for _, when := range []string{"at once", "after a restart"} {
		got, ok := s.knows(key)
		if !ok || got.Subject != "ci" || got.User != "alice" || got.CredentialID != created.ID || got.Sandbox != "" {
			t.Errorf("%s: %v, %+v", when, ok, got)
		}
		if by := got.Decides(secret.Reveal, on(alice, "db")); by == nil || by.Source != "issued key "+created.ID+", grants[0]" {
			t.Errorf("%s: reveal is decided by %+v", when, by)
		}
		for what, other := range map[string]string{
			"the last character changed": key[:len(key)-1] + "!", "nothing": "", "its id": created.ID, "its hash": created.SHA256.String(),
			"one more character": key + "a",
		} {
			if got, ok := s.knows(other); ok || got.Subject != "" {
				t.Errorf("%s: %s is known as %+v", when, what, got)
			}
		}
		s = s.mustReopen(t, c.clock())
	}
}

func TestKeyWithoutAUserIsForTheDefaultUser(t *testing.T) {
	s := newStack(t, newClock().clock())
	key, _ := s.mustCreate(t, issued.Draft{})
	if got, _ := s.knows(key); got.User != apikey.DefaultUser {
		t.Errorf("got user %q", got.User)
	}
}

func TestKeyIsAcceptedOnlyByItsStrategies(t *testing.T) {
	s := newStack(t, newClock().clock())
	all, _ := s.mustCreate(t, issued.Draft{})
	some, _ := s.mustCreate(t, issued.Draft{Strategies: []string{"session-key", "other"}})
	for _, tc := range []struct {
		key, strategy string
		want          bool
	}{{all, "psk", true}, {all, "session-key", true}, {some, "psk", false}, {some, "session-key", true}, {some, "other", true}} {
		if _, got := s.For(tc.strategy).Caller(apikey.HashOf(tc.key)); got != tc.want {
			t.Errorf("known to %s: %v, want %v", tc.strategy, got, tc.want)
		}
	}
}

func TestKeysAreNotReadableInTheFile(t *testing.T) {
	s := newStack(t, newClock().clock())
	key, created := s.mustCreate(t, issued.Draft{Subject: "subject-of-the-key", User: "user-of-the-key"})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{key, created.ID, created.SHA256.String(), string(created.SHA256[:]), "subject-of-the-key", "user-of-the-key", "alice"} {
		if bytes.Contains(file, []byte(text)) {
			t.Errorf("the file has %q", text)
		}
	}
}

func TestRevokedKeyIsRejectedAtOnce(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, created := s.mustCreate(t, issued.Draft{})
	other, _ := s.mustCreate(t, issued.Draft{})
	if _, err := s.Revoke(t.Context(), root, created.ID, true); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("as an agent's: %v, want ErrNotFound", err)
	}
	c.pass(time.Minute)
	revoked, err := s.Revoke(t.Context(), root, created.ID, false)
	if err != nil || !revoked.Revoked.Equal(created.Created.Add(time.Minute)) {
		t.Errorf("revoked at %v, %v", revoked.Revoked, err)
	}
	c.pass(time.Minute)
	again, err := s.Revoke(t.Context(), root, created.ID, false)
	if err != nil || !again.Revoked.Equal(revoked.Revoked) {
		t.Errorf("revoked again, at %v, %v", again.Revoked, err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		s.wantKnown(t, key, false, when)
		s.wantKnown(t, other, true, when+", another")
		s = s.mustReopen(t, c.clock())
	}
	if _, err := s.Revoke(t.Context(), root, "aaaaaaaa", false); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("one that is unknown: %v, want ErrNotFound", err)
	}
}

func TestKeyExpiresAfterItsLifetime(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, created := s.mustCreate(t, issued.Draft{Lifetime: time.Hour})
	if !created.Ends.Equal(created.Created.Add(time.Hour)) {
		t.Errorf("created %v, ends %v", created.Created, created.Ends)
	}
	c.pass(time.Hour - 1)
	s.wantKnown(t, key, true, "just before")
	c.pass(1)
	s.wantKnown(t, key, false, "at its end")
}

func TestBothKeysWorkDuringTheOverlap(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	old, oldKey := s.mustCreate(t, issued.Draft{Subject: "ci", User: "alice", Strategies: []string{"psk"}, Lifetime: 100 * time.Hour})
	c.pass(time.Hour)
	next, nextKey, err := s.Rotate(t.Context(), root, oldKey.ID, 2*time.Hour)
	if err != nil || nextKey.Replaces != oldKey.ID || !nextKey.Ends.Equal(nextKey.Created.Add(100*time.Hour)) {
		t.Fatalf("got %+v, %v", nextKey, err)
	}
	c.pass(2*time.Hour - 1)
	for _, when := range []string{"at once", "after a restart"} {
		was, ok := s.knows(old)
		is, ok2 := s.knows(next)
		was.CredentialID, is.CredentialID = "", ""
		was.Credential, is.Credential = nil, nil
		for i := range was.Grants {
			was.Grants[i].Source, is.Grants[i].Source = "", ""
		}
		if diff := cmp.Diff(was, is); !ok || !ok2 || diff != "" {
			t.Errorf("%s: %v, %v, and the callers differ:\n%s", when, ok, ok2, diff)
		}
		s = s.mustReopen(t, c.clock())
	}
	c.pass(1)
	s.wantKnown(t, old, false, "the old one, after the overlap")
	s.wantKnown(t, next, true, "the new one, after the overlap")
	if _, _, err := s.Rotate(t.Context(), root, oldKey.ID, 0); err == nil {
		t.Error("one that has ended was rotated")
	}
	last, _, err := s.Rotate(t.Context(), root, nextKey.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.wantKnown(t, next, false, "without an overlap")
	s.wantKnown(t, last, true, "the last")
}

// An overlap never extends the lifetime of the old key.
func TestRotationNeverExtendsAKey(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, created := s.mustCreate(t, issued.Draft{Lifetime: time.Hour})
	if _, _, err := s.Rotate(t.Context(), root, created.ID, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Hour)
	s.wantKnown(t, key, false, "at its end")
}

// A rotated agent key would escape its limits.
func TestAgentKeyIsNotRotated(t *testing.T) {
	s := newStack(t, newClock().clock())
	_, created := s.mustCreateAgent(t, issued.AgentDraft{Reads: 1})
	if key, _, err := s.Rotate(t.Context(), root, created.ID, 0); !errors.Is(err, issued.ErrNoKey) || key != "" {
		t.Errorf("got a key: %t, %v", key != "", err)
	}
}

func TestRotationNeverRevivesARevokedKey(t *testing.T) {
	s := newStack(t, newClock().clock())
	for range 50 {
		key, created := s.mustCreate(t, issued.Draft{})
		var both sync.WaitGroup
		both.Go(func() { _, _ = s.Revoke(t.Context(), root, created.ID, false) })
		both.Go(func() { _, _, _ = s.Rotate(t.Context(), root, created.ID, time.Hour) })
		both.Wait()
		if _, ok := s.knows(key); ok {
			t.Fatal("it was revoked and works")
		}
	}
}

func TestInvalidInputIsNamed(t *testing.T) {
	s := newStack(t, newClock().clock())
	long := strings.Repeat("x", 257)
	agent := func(change func(*issued.AgentDraft)) any {
		d := issued.AgentDraft{Owner: alice, Names: []string{"db"}, Lifetime: time.Hour}
		change(&d)
		return d
	}
	for _, tc := range []struct {
		draft any
		want  string
	}{
		{issued.Draft{Grants: everything}, "subject: must not be empty"},
		{issued.Draft{Subject: long, Grants: everything}, "subject: must not be longer than 256 bytes"},
		{issued.Draft{Subject: "a\nb", Grants: everything}, "subject: must be UTF-8 without control characters"},
		{issued.Draft{Subject: "ci", User: "*", Grants: everything}, "user: must be one, not *"},
		{issued.Draft{Subject: "ci"}, "grants: must not be empty: a key without grants can do nothing"},
		{issued.Draft{Subject: "ci", Grants: []grant.Line{{Owner: "user/a"}}}, "grants: [0].actions: must name at least one"},
		{issued.Draft{Subject: "ci", Grants: make([]grant.Line, 101)}, "grants: must not have more than 100"},
		{issued.Draft{Subject: "ci", Grants: everything, Lifetime: -1}, "lifetime: must not be negative"},
		{issued.Draft{Subject: "ci", Grants: everything, Strategies: []string{""}}, "strategies: must not be empty"},
		{agent(func(d *issued.AgentDraft) { d.Names = nil }), "names: must name at least one secret"},
		{agent(func(d *issued.AgentDraft) { d.Names = []string{""} }), "name: must not be empty"},
		{agent(func(d *issued.AgentDraft) { d.Owner = secret.User("*") }), "owner: must be one, not *"},
		{agent(func(d *issued.AgentDraft) { d.Owner = secret.App("x") }), "grants: [0].owner: must be user/<id>, user/*, app/<uuid>, app/* or self"},
		{agent(func(d *issued.AgentDraft) { d.Reads = -1 }), "reads: must not be negative"},
		{agent(func(d *issued.AgentDraft) { d.Lifetime = 0 }), "lifetime: must be positive and at most 30 days"},
		{agent(func(d *issued.AgentDraft) { d.Lifetime = issued.MaxAgentLifetime + 1 }), "lifetime: must be positive and at most 30 days"},
		{agent(func(d *issued.AgentDraft) { d.Sandbox = "a/b" }), "sandbox: must be at most 256 bytes of UTF-8 without control characters and slashes"},
	} {
		var err error
		switch d := tc.draft.(type) {
		case issued.Draft:
			_, _, err = s.Create(t.Context(), root, d)
		case issued.AgentDraft:
			_, _, err = s.CreateAgent(t.Context(), root, d)
		}
		if err == nil || err.Error() != tc.want {
			t.Errorf("%+v: %v, want %s", tc.draft, err, tc.want)
		}
	}
	if len(s.List(false))+len(s.List(true)) > 0 {
		t.Error("keys were issued nevertheless")
	}
}

func TestOperationsOnKeysAreAudited(t *testing.T) {
	s := newStack(t, newClock().clock())
	by := root
	by.From, by.Request = "@", "request"
	_, a, err := s.Create(t.Context(), by, issued.Draft{Subject: "ci", Grants: everything})
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ := s.Rotate(t.Context(), by, a.ID, time.Hour)
	_, _ = s.Revoke(t.Context(), by, a.ID, false)
	_, c := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box"})
	_, _ = s.RevokeSandbox(t.Context(), by, "box")
	var got []string
	for _, e := range s.mustTail(t) {
		if e.Outcome != secret.Done || e.Subject != "root" {
			t.Errorf("got %+v", e)
		}
		got = append(got, string(e.Action)+" "+e.Ref.Owner.String())
	}
	want := []string{
		"apikey create apikey/" + a.ID, "apikey rotate apikey/" + b.ID, "apikey revoke apikey/" + a.ID,
		"agent-key create agent-key/" + c.ID, "agent-key revoke agent-key/" + c.ID,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func (s *stack) mustTail(t *testing.T) (events []secret.Event) {
	t.Helper()
	entries, err := s.log.Tail(1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		events = append(events, e.Event)
	}
	return events
}

func TestFindAllocatesNothing(t *testing.T) {
	s := newStack(t, issued.SystemClock())
	key, _ := s.mustCreate(t, issued.Draft{Lifetime: time.Hour, Strategies: []string{"psk"}})
	hash, known := apikey.HashOf(key), s.For("psk")
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := known.Caller(hash); !ok {
			t.Error("it is not known")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLastUseIsRoundedToTheHour(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, created := s.mustCreate(t, issued.Draft{})
	used := func() time.Time { t.Helper(); return s.List(false)[0].Used }
	if got := used(); !got.IsZero() {
		t.Errorf("unused, it was used at %v", got)
	}
	c.pass(90 * time.Minute)
	s.knows(key)
	want := created.Created.Add(time.Hour)
	for _, when := range []string{"at once", "after a restart", "after another"} {
		if got := used(); !got.Equal(want) {
			t.Errorf("%s: used at %v, want %v", when, got, want)
		}
		s = s.mustReopen(t, c.clock())
	}
}

func TestLastUseIsOnDiskWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, issued.SystemClock())
		key, _ := s.mustCreate(t, issued.Draft{})
		s.knows(key)
		time.Sleep(time.Minute + time.Second) // of the synctest bubble, so it takes no real time
		synctest.Wait()
		after := s.mustCrash(t, issued.SystemClock())
		if after.List(false)[0].Used.IsZero() {
			t.Error("after a crash it was never used")
		}
		if err := errors.Join(after.close(), s.close()); err != nil {
			t.Error(err)
		}
	})
}

func TestOldExpiredKeysAreRemoved(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	_, revoked := s.mustCreate(t, issued.Draft{})
	if _, err := s.Revoke(t.Context(), root, revoked.ID, false); err != nil {
		t.Fatal(err)
	}
	s.mustCreate(t, issued.Draft{Lifetime: time.Hour})
	lives, _ := s.mustCreate(t, issued.Draft{})
	for _, tc := range []struct {
		passes time.Duration
		left   int
	}{{issued.Remembered - time.Minute, 3}, {3 * time.Minute, 2}, {time.Hour, 1}, {10 * issued.Remembered, 1}} {
		c.pass(tc.passes)
		s = s.mustReopen(t, c.clock())
		if got := len(s.List(false)); got != tc.left {
			t.Errorf("%v later: %d are known, want %d", tc.passes, got, tc.left)
		}
	}
	if keys, problems, err := s.Verify(); keys != 1 || problems != nil || err != nil {
		t.Errorf("%d keys are left, %v, %v", keys, problems, err)
	}
	s.wantKnown(t, lives, true, "the one that lives")
}

func TestDamagedKeyDoesNotWorkAndIsReported(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	keys := map[string]bool{}
	for range 3 {
		key, _ := s.mustCreate(t, issued.Draft{})
		keys[key] = true
	}
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("issued")
		var all [][]byte
		for key, sealed := range rows.From([]byte{0}) {
			all = append(all, bytes.Clone(key), bytes.Clone(sealed))
		}
		all[1][len(all[1])/2] ^= 1
		return errors.Join(rows.Put(all[0], all[1]), rows.Put(all[2], all[5])) // and one row in the place of another
	})
	if err != nil {
		t.Fatal(err)
	}
	s = s.mustReopen(t, c.clock())
	known := 0
	for key := range keys {
		if _, ok := s.knows(key); ok {
			known++
		}
	}
	if known != 1 {
		t.Errorf("%d keys work, want 1", known)
	}
	if n, problems, err := s.Verify(); n != 3 || len(problems) != 2 || err != nil {
		t.Errorf("%d keys, %q, %v, want 3 and 2 problems", n, problems, err)
	}
}

func TestResealedRowsNoLongerNeedTheOldKey(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	var keys []string
	for range 150 { // more than one step
		key, _ := s.mustCreate(t, issued.Draft{Lifetime: time.Hour})
		keys = append(keys, key)
	}
	s = s.mustReopen(t, c.clock()) // the previous one has written the time
	s.ring.Adopt(s.ring.Rotated())
	rows := 0
	if err := s.Reseal(t.Context(), func(n int) { rows = n }); err != nil || rows != len(keys)+1 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	pruned, _ := s.ring.Pruned()
	wrapped, err := pruned.Wrap(kek, s.file.ID())
	if err != nil {
		t.Fatal(err)
	}
	s.ring.Adopt(pruned)
	before, _ := s.file.Keyring()
	if swapped, err := s.file.SwapKeyring(t.Context(), before, wrapped); err != nil || !swapped {
		t.Fatal(swapped, err)
	}
	s = s.mustReopen(t, c.clock())
	for _, key := range keys {
		s.wantKnown(t, key, true, "sealed anew")
	}
	if n, problems, err := s.Verify(); n != len(keys) || problems != nil || err != nil {
		t.Errorf("%d keys, %q, %v", n, problems, err)
	}
}

// A request may have begun long before, because a client can send its body slowly. Its
// caller is then already authenticated when the key stops working.
func TestRevokedKeyChangesAndReadsNothing(t *testing.T) {
	for stopped, stop := range map[string]func(*testing.T, *stack, *fakeClock, issued.Key){
		"revoked": func(t *testing.T, s *stack, _ *fakeClock, k issued.Key) {
			t.Helper()
			if _, err := s.Revoke(t.Context(), root, k.ID, false); err != nil {
				t.Fatal(err)
			}
		},
		"ended": func(_ *testing.T, _ *stack, c *fakeClock, _ issued.Key) { c.pass(time.Hour) },
		"rotated": func(t *testing.T, s *stack, c *fakeClock, k issued.Key) {
			t.Helper()
			if _, _, err := s.Rotate(t.Context(), root, k.ID, time.Minute); err != nil {
				t.Fatal(err)
			}
			c.pass(time.Minute)
		},
	} {
		for store, service := range map[string]func(*testing.T, *stack) *secret.Service{
			"recording":     func(_ *testing.T, s *stack) *secret.Service { return s.service() },
			"not recording": func(t *testing.T, s *stack) *secret.Service { t.Helper(); return s.elsewhere(t) },
		} {
			t.Run(stopped+", "+store, func(t *testing.T) {
				c := newClock()
				s := newStack(t, c.clock())
				s.mustHold(t, on(alice, "db"))
				key, created := s.mustCreate(t, issued.Draft{Lifetime: time.Hour})
				who, _ := s.knows(key)
				secrets := service(t, s)
				wantAll := func(want error) {
					t.Helper()
					_, created := secrets.Create(t.Context(), who, on(alice, "new"), secret.Draft{})
					_, replaced := secrets.Replace(t.Context(), who, on(alice, "db"), "", secret.Change{})
					_, data, revealed := secrets.Reveal(t.Context(), who, on(alice, "db"))
					deleted := secrets.Delete(t.Context(), who, on(alice, "new"), "")
					for did, err := range map[string]error{"create": created, "replace": replaced, "reveal": revealed, "delete": deleted} {
						if !errors.Is(err, want) || (want == nil && err != nil) {
							t.Errorf("%s: %v, want %v", did, err, want)
						}
					}
					if want != nil && data != nil {
						t.Errorf("got %d values", len(data))
					}
				}
				wantAll(nil)
				stop(t, s, c, created)
				wantAll(secret.ErrForbidden)
			})
		}
	}
}

// mustOpenAnother returns a second Keys of the same file, as another process has it. Close
// it before the stack.
func (s *stack) mustOpenAnother(t *testing.T, clock issued.Clock) *stack {
	t.Helper()
	keys, err := issued.Open(s.file, s.ring, s.log, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	other := *s
	other.Keys = keys
	return &other
}

func TestMemoryFollowsTheFile(t *testing.T) {
	c := newClock()
	one := newStack(t, c.clock())
	two := one.mustOpenAnother(t, c.clock())
	defer func() { _ = two.Close() }()
	key, created := one.mustCreate(t, issued.Draft{Lifetime: time.Hour})
	two.wantKnown(t, key, true, "created elsewhere")
	if _, err := two.Revoke(t.Context(), root, created.ID, false); err != nil {
		t.Fatal(err)
	}
	one.wantKnown(t, key, false, "revoked elsewhere")
	if keys := one.List(false); len(keys) != 1 || keys[0].Revoked.IsZero() {
		t.Errorf("listed as %+v", keys)
	}
	err := one.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("issued")
		for row := range rows.From([]byte{0}) {
			if err := rows.Delete(bytes.Clone(row)); err != nil {
				return err
			}
		}
		return nil
	})
	if one, two := len(one.List(false)), len(two.List(false)); one+two != 0 || err != nil {
		t.Errorf("deleted elsewhere, and there are %d and %d, %v", one, two, err)
	}
}

func TestDamagedRowStopsItsKey(t *testing.T) {
	s := newStack(t, newClock().clock())
	key, _ := s.mustCreate(t, issued.Draft{})
	other, _ := s.mustCreate(t, issued.Draft{})
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("issued")
		for row := range rows.From([]byte{0}) {
			if err := rows.Put(bytes.Clone(row), []byte("damaged")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wantKnown(t, key, false, "damaged")
	s.wantKnown(t, other, false, "damaged")
}

// Two processes have different clocks. Neither sets back what the other has stored.
func TestStoredTimesAreOnlyRaised(t *testing.T) {
	late, early := newClock(), newClock()
	late.step(10 * time.Hour)
	s := newStack(t, early.clock())
	one, two := s.mustOpenAnother(t, late.clock()), s.mustOpenAnother(t, early.clock())
	key, _ := one.mustCreate(t, issued.Draft{Lifetime: 48 * time.Hour})
	one.wantKnown(t, key, true, "new")
	two.wantKnown(t, key, true, "new")
	want := one.List(false)[0].Used
	if err := errors.Join(one.Close(), two.Close()); err != nil { // both write their times
		t.Fatal(err)
	}
	early.reboot()
	again := s.mustOpenAnother(t, early.clock())
	defer func() { _ = again.Close() }()
	if keys := again.List(false); len(keys) != 1 || !keys[0].Used.Equal(want) {
		t.Errorf("last use %v, want %v", keys[0].Used, want)
	}
	if ahead := again.Ahead(); ahead != 10*time.Hour {
		t.Errorf("the stored time is %v ahead, want 10h", ahead)
	}
}
