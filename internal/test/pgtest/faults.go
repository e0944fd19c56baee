package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Stop ends the server as an administrator does: it rolls transactions back, closes all
// connections and writes a checkpoint.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
		s.ended()
	case <-time.After(patience):
		t.Fatalf("PostgreSQL still runs: %s", s.Log())
	}
}

// Kill ends all processes of the server with SIGKILL at one moment, as a crash does.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	postmaster := s.cmd.Process.Pid
	_ = syscall.Kill(postmaster, syscall.SIGSTOP) // it starts no more processes
	for _, pid := range children(postmaster) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = syscall.Kill(postmaster, syscall.SIGKILL)
	<-s.exited
	s.ended()
}

// ended notes that the server does not run, also for the guard.
func (s *Server) ended() {
	s.cmd = nil
	_ = os.Remove(s.pidFile())
}

// Restart stops the server if it runs, and starts it again at the same address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Disconnect ends the server's processes for all connections but its own, as an
// administrator does with pg_terminate_backend. It returns their number.
func (s *Server) Disconnect(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(s.Exec(t, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// children returns the processes that a process has started. It needs Linux; elsewhere,
// PostgreSQL's processes end by themselves when the first one has.
func children(pid int) (all []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, child)
		}
	}
	return all
}
