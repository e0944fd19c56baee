package pgtest

import (
	"errors"
	"os"
	"testing"
	"time"
)

// standbyName is the name of a standby at its primary.
const standbyName = "standby"

// Standby starts a server that follows this one. From then on, this server acknowledges a
// commit only when the standby has flushed it.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.remove)
	standby.Follow(t, s)
	return standby
}

// Follow replaces everything in a server that does not run by a copy of another one, and
// starts it as the other's only standby, at the same address as before.
func (s *Server) Follow(t testing.TB, primary *Server) {
	t.Helper()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	from := primary.URL(superuser) + "&application_name=" + standbyName
	cmd := command("pg_basebackup", "-d", from, "-D", s.data(), "-R", "-X", "stream", "-c", "fast")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	if err := errors.Join(s.configure(), s.start()); err != nil {
		t.Fatal(err)
	}
	primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = '"+standbyName+"'")
	primary.Exec(t, "SELECT pg_reload_conf()")
	primary.AwaitStandby(t)
}

// AwaitStandby waits until the standby is connected and has everything.
func (s *Server) AwaitStandby(t testing.TB) {
	t.Helper()
	await(t, "the standby to be synchronous", func() bool {
		n, err := Query(s.URL(superuser), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'")
		return err == nil && n == "1"
	})
}

// Promote makes a primary of a standby, without a standby of its own. Kill the old primary
// before, or both take writes.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if got := s.Exec(t, "SELECT pg_promote(true, 60)"); got != "t" {
		t.Fatalf("the standby was not promoted: %s", s.Log())
	}
}

// await waits until the condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for ", what)
		}
	}
}
