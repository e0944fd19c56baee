package pgtest

import (
	"testing"
	"time"
)

// standbyName is what a standby calls itself at its primary.
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
	from := s.URL(superuser) + "&application_name=" + standbyName
	cmd := command("pg_basebackup", "-d", from, "-D", standby.data(), "-R", "-X", "stream", "-c", "fast")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	if err := standby.configure(); err != nil {
		t.Fatal(err)
	}
	if err := standby.start(); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = '"+standbyName+"'")
	s.Exec(t, "SELECT pg_reload_conf()")
	await(t, "the standby to be synchronous", func() bool {
		return s.Exec(t, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
	})
	return standby
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
