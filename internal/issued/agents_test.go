package issued_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestAgentKeyReadsItsSecretsAndNothingElse(t *testing.T) {
	s := newStack(t, newClock().clock())
	bob := secret.User("bob")
	s.mustHold(t, on(alice, "db"), on(alice, "cache"), on(alice, "root"), on(bob, "db"))
	key, created := s.mustCreateAgent(t, issued.AgentDraft{Names: []string{"db", "cache"}, Sandbox: "box-7", Reads: 3})
	caller, ok := s.knows(key)
	if !ok || caller.Sandbox != "box-7" || caller.User != "alice" || caller.Subject != "sandbox box-7" || caller.CredentialID != created.ID {
		t.Fatalf("%v, %+v", ok, caller)
	}
	mine := []secret.Ref{on(alice, "db"), on(alice, "cache")}
	for _, ref := range []secret.Ref{
		on(alice, "db"), on(alice, "cache"), on(alice, "root"), on(alice, ""), on(bob, "db"), on(bob, ""),
		on(secret.App("0f8fad5b-d9cb-469f-a165-70867728950e"), "db"),
	} {
		for _, action := range append(secret.Actions(), secret.History, secret.Restore, secret.Destroy) {
			// An agent may see that its owner has secrets, so listing the owner is
			// allowed.
			want := (action == secret.List || action == secret.Reveal) && (slices.Contains(mine, ref) || ref == on(alice, ""))
			if got := caller.May(action, ref); got != want {
				t.Errorf("may %s %s: %v, want %v", action, ref, got, want)
			}
		}
	}
	infos, err := s.service().List(t.Context(), caller, alice, secret.Page{})
	if err != nil || len(infos) != 2 {
		t.Errorf("lists %+v, %v", infos, err)
	}
	for _, ref := range []secret.Ref{on(alice, "root"), on(bob, "db"), on(alice, "none")} {
		if _, data, err := s.service().Reveal(t.Context(), caller, ref); err == nil {
			t.Errorf("reveals %s: %d values", ref, len(data))
		}
	}
	// None of these requests is counted as a read.
	for n := range 4 {
		_, data, err := s.service().Reveal(t.Context(), caller, mine[n%2])
		if want := n < 3; (err == nil) != want || (len(data) > 0) != want {
			t.Errorf("read %d: %d values, %v", n+1, len(data), err)
		}
	}
	s.wantKnown(t, key, false, "after the last read")
}

// readUntilDenied returns the number of successful reads of concurrent clients, each of which
// reads up to times times.
func readUntilDenied(t *testing.T, s *secret.Service, caller secret.Caller, clients, times int) int {
	t.Helper()
	var successful atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range times {
				_, data, err := s.Reveal(t.Context(), caller, on(alice, "db"))
				switch {
				case err == nil && string(data["value"]) == "value of db":
					successful.Add(1)
				case !errors.Is(err, secret.ErrForbidden) || data != nil:
					t.Errorf("got %d values, %v", len(data), err)
				}
			}
		})
	}
	all.Wait()
	return int(successful.Load())
}

// Two services stand for all stores: one records in its transactions, one does not.
func TestReadLimitIsExactUnderConcurrency(t *testing.T) {
	const reads = 100
	for name, service := range map[string]func(*stack) *secret.Service{
		"recording":     (*stack).service,
		"not recording": func(s *stack) *secret.Service { return s.elsewhere(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := newStack(t, c.clock())
			s.mustHold(t, on(alice, "db"))
			key, created := s.mustCreateAgent(t, issued.AgentDraft{Reads: reads})
			other, _ := s.mustCreateAgent(t, issued.AgentDraft{Reads: 1})
			caller, _ := s.knows(key)
			got := readUntilDenied(t, service(s), caller, 16, 4) // leaves 36 reads
			s = s.mustCrash(t, c.clock())
			s.wantKnown(t, key, true, "before the last read, after a crash")
			caller, _ = s.knows(key)
			got += readUntilDenied(t, service(s), caller, 16, 10)
			if got != reads {
				t.Errorf("%d reads, want %d", got, reads)
			}
			for _, when := range []string{"at once", "after a restart"} {
				s.wantKnown(t, key, false, "spent, "+when)
				s.wantKnown(t, other, true, "another, "+when)
				s = s.mustReopen(t, c.clock())
			}
			for _, k := range s.List(true) {
				if k.ID == created.ID && k.Agent.ReadCount != reads {
					t.Errorf("%d reads are counted, want %d", k.Agent.ReadCount, reads)
				}
			}
		})
	}
}

func TestEveryReadOfAnAgentIsAudited(t *testing.T) {
	s := newStack(t, newClock().clock())
	s.mustHold(t, on(alice, "db"))
	key, created := s.mustCreateAgent(t, issued.AgentDraft{Reads: 5, Sandbox: "box"})
	caller, _ := s.knows(key)
	readUntilDenied(t, s.service(), caller, 4, 2)
	outcomes := map[secret.Outcome]int{}
	for _, e := range s.mustTail(t) {
		if e.Action == secret.Reveal && e.CredentialID == created.ID && e.Subject == "sandbox box" && e.Ref == on(alice, "db") {
			outcomes[e.Outcome]++
		}
	}
	if outcomes[secret.Done] != 5 || outcomes[secret.Denied] != 3 || len(outcomes) != 2 {
		t.Errorf("on record: %v, want 5 done and 3 denied", outcomes)
	}
}

// A request that began before the revocation and is answered after it gets no values.
func TestNoValuesAreReturnedAfterARevocation(t *testing.T) {
	for name, revoke := range map[string]func(*testing.T, *stack, issued.Key) error{
		"of the key": func(t *testing.T, s *stack, k issued.Key) error {
			t.Helper()
			_, err := s.Revoke(t.Context(), root, k.ID, true)
			return err
		},
		"of the sandbox": func(t *testing.T, s *stack, _ issued.Key) error {
			t.Helper()
			_, err := s.RevokeSandbox(t.Context(), root, "box")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := newStack(t, c.clock())
			s.mustHold(t, on(alice, "db"))
			other, _ := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box-2"})
			for range 10 {
				key, created := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box"})
				caller, _ := s.knows(key)
				var revoked atomic.Bool
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						for over := false; !over; {
							over = revoked.Load()
							_, _, err := s.service().Reveal(t.Context(), caller, on(alice, "db"))
							if over && err == nil {
								t.Error("a revoked key returned values")
							}
						}
					})
				}
				if err := revoke(t, s, created); err != nil {
					t.Error(err)
				}
				revoked.Store(true)
				s.wantKnown(t, key, false, "revoked")
				all.Wait()
			}
			s = s.mustReopen(t, c.clock())
			for _, k := range s.List(true) {
				if s.Works(k) != (k.Agent.Sandbox == "box-2") {
					t.Errorf("after a restart %+v works: %v", k, s.Works(k))
				}
			}
			s.wantKnown(t, other, true, "another sandbox's")
		})
	}
}

func TestRevokingAnUnknownSandboxIsAnError(t *testing.T) {
	s := newStack(t, newClock().clock())
	s.mustCreateAgent(t, issued.AgentDraft{})
	for _, sandbox := range []string{"box", ""} {
		if _, err := s.RevokeSandbox(t.Context(), root, sandbox); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%q: %v, want ErrNotFound", sandbox, err)
		}
	}
}

// A process that is paused for minutes between two readings must not take the pause for a clock
// that was set ahead.
func TestPauseBetweenReadingsOfTheClockEndsNoKey(t *testing.T) {
	c := newClock()
	paused := c.clock()
	var pause atomic.Int64 // after the next reading
	s := newStack(t, issued.Clock{
		Wall: func() time.Time {
			wall := paused.Wall()
			c.pass(time.Duration(pause.Swap(0)))
			return wall
		},
		Elapsed: func() time.Duration {
			elapsed := paused.Elapsed()
			c.pass(time.Duration(pause.Swap(0)))
			return elapsed
		},
	})
	s.mustHold(t, on(alice, "db"))
	key, _ := s.mustCreateAgent(t, issued.AgentDraft{Lifetime: time.Hour})
	pause.Store(int64(50 * time.Minute))
	s.wantKnown(t, key, true, "in a request that was paused")
	s.wantKnown(t, key, true, "10 minutes before its end")
	c.pass(10 * time.Minute)
	s.wantKnown(t, key, false, "at its end")
}

// With any setting of the wall clock, a key never works for longer than its lifetime, and
// an expired key never works again.
func TestSettingTheClockBackNeverRevivesAKey(t *testing.T) {
	for _, tc := range []struct {
		name string
		live func(t *testing.T, s *stack, c *fakeClock) *stack
		want bool
	}{
		{"set back before the end", func(_ *testing.T, s *stack, c *fakeClock) *stack {
			c.pass(30 * time.Minute)
			c.step(-24 * time.Hour)
			c.pass(29 * time.Minute)
			return s
		}, true},
		{"set back before the end, which comes", func(_ *testing.T, s *stack, c *fakeClock) *stack {
			c.pass(30 * time.Minute)
			c.step(-24 * time.Hour)
			c.pass(31 * time.Minute)
			return s
		}, false},
		{"set back behind the end", func(_ *testing.T, s *stack, c *fakeClock) *stack {
			c.pass(2 * time.Hour)
			c.step(-24 * time.Hour)
			return s
		}, false},
		{"set ahead, and back", func(t *testing.T, s *stack, c *fakeClock) *stack {
			t.Helper()
			c.step(2 * time.Hour)
			s.wantKnown(t, "", false, "so that somebody looks at the clock")
			c.step(-2 * time.Hour)
			return s
		}, false},
		{"set back while it does not run", func(t *testing.T, s *stack, c *fakeClock) *stack {
			t.Helper()
			c.pass(30 * time.Minute)
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			c.step(-24 * time.Hour)
			c.reboot()
			s = openStack(t, s.path, c.clock())
			c.pass(29 * time.Minute)
			return s
		}, true},
		{"set back while it does not run, and the end comes", func(t *testing.T, s *stack, c *fakeClock) *stack {
			t.Helper()
			c.pass(30 * time.Minute)
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			c.step(-24 * time.Hour)
			c.reboot()
			s = openStack(t, s.path, c.clock())
			c.pass(31 * time.Minute)
			return s
		}, false},
		{"set back behind the end while it does not run", func(t *testing.T, s *stack, c *fakeClock) *stack {
			t.Helper()
			c.pass(2 * time.Hour)
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			c.step(-24 * time.Hour)
			c.reboot()
			return openStack(t, s.path, c.clock())
		}, false},
		{"over while it does not run", func(t *testing.T, s *stack, c *fakeClock) *stack {
			t.Helper()
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			c.pass(2 * time.Hour)
			c.reboot()
			return openStack(t, s.path, c.clock())
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClock()
			s := newStack(t, c.clock())
			s.mustHold(t, on(alice, "db"))
			key, _ := s.mustCreateAgent(t, issued.AgentDraft{Lifetime: time.Hour})
			caller, _ := s.knows(key)
			if ahead := s.Ahead(); ahead != 0 {
				t.Errorf("it is ahead by %v", ahead)
			}
			before := s
			s = tc.live(t, s, c)
			if ahead, back := s.Ahead(), strings.HasPrefix(tc.name, "set"); (ahead > time.Hour) != back {
				t.Errorf("it is ahead by %v", ahead)
			}
			s.wantKnown(t, key, tc.want, "in the end")
			_, _, err := s.service().Reveal(t.Context(), caller, on(alice, "db"))
			if s == before && (err == nil) != tc.want { // no request outlives its process
				t.Errorf("a request that began before: %v", err)
			}
			// A key issued now works for its whole lifetime.
			next, _ := s.mustCreateAgent(t, issued.AgentDraft{Lifetime: time.Hour})
			c.pass(59 * time.Minute)
			s.wantKnown(t, next, true, "a new one")
			c.pass(2 * time.Minute)
			s.wantKnown(t, next, false, "a new one, at its end")
		})
	}
}

// The expiry of a key is on disk at once, so even a crash followed by a clock set back
// does not revive the key.
func TestExpirySurvivesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, issued.SystemClock())
		key, _ := s.mustCreateAgent(t, issued.AgentDraft{Lifetime: 10 * time.Second})
		time.Sleep(10*time.Second + time.Millisecond) // of the synctest bubble, so it takes no real time
		synctest.Wait()
		back := issued.SystemClock()
		wall := back.Wall
		back.Wall = func() time.Time { return wall().Add(-24 * time.Hour) }
		after := s.mustCrash(t, back)
		after.wantKnown(t, key, false, "after a crash")
		if err := errors.Join(after.close(), s.close()); err != nil {
			t.Error(err)
		}
	})
}

// In an old copy of the file, or one without the time row, the newest key gives the
// minimum time.
func TestTheNewestKeyGivesTheMinimumTime(t *testing.T) {
	c := newClock()
	s := newStack(t, c.clock())
	key, _ := s.mustCreateAgent(t, issued.AgentDraft{Lifetime: time.Hour})
	c.pass(2 * time.Hour)
	_, newest := s.mustCreate(t, issued.Draft{}) // never expires
	c.step(-24 * time.Hour)
	s = s.mustCrash(t, c.clock())
	s.wantKnown(t, key, false, fmt.Sprint("with a key of ", newest.Created))
}

func TestRevocationOfASandboxReturnsTheKeysThatItRevoked(t *testing.T) {
	s := newStack(t, newClock().clock())
	_, over := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box"})
	_, one := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box"})
	_, two := s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box"})
	s.mustCreateAgent(t, issued.AgentDraft{Sandbox: "box-2"})
	if _, err := s.Revoke(t.Context(), root, over.ID, true); err != nil {
		t.Fatal(err)
	}
	revoked, err := s.RevokeSandbox(t.Context(), root, "box")
	var got []string
	for _, key := range revoked {
		got = append(got, key.ID)
	}
	want := []string{one.ID, two.ID}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("revoked %q, %v, want %q", got, err, want)
	}
}
