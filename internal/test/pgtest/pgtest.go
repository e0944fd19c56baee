// Package pgtest starts real PostgreSQL servers on loopback for tests: see [Start] and
// [New]. They flush to disk as in production, and end with the test binary at the latest.
//
// A [Proxy] in front of a server, a [Server.Standby] behind it and [Server.Kill] inject
// faults. [Server.RequireTLS] adds certificates.
package pgtest

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	superuser = "postgres"
	password  = "of-a-test" // of the superuser, and of each role of NewDatabase
	patience  = time.Minute // the longest wait for a start or an end
)

// A Server is a PostgreSQL server. Its methods are not safe for concurrent use, except
// URL, Exec and NewDatabase.
type Server struct {
	dir    string // has the data directory and the log
	port   int
	cmd    *exec.Cmd     // nil while the server does not run
	exited chan struct{} // closed when cmd has ended
	guard  io.Closer
}

// Start returns the server that all tests of this binary share. Only tests that leave it
// running may use it: use New to stop one. Without PostgreSQL the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	require(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var shared = sync.OnceValues(create)

// New returns a server of the test's own. The first one on a machine takes seconds, later
// ones half a second.
func New(t testing.TB) *Server {
	t.Helper()
	require(t)
	s, err := create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	return s
}

// Run returns a server for a program that is not a test. Close it.
func Run() (*Server, error) { return create() }

// Close stops the server and removes its files.
func (s *Server) Close() { s.remove() }

func create() (*Server, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	if err := s.createData(); err != nil {
		s.remove()
		return nil, err
	}
	if err := s.configure(); err != nil {
		s.remove()
		return nil, err
	}
	if err := s.start(); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// newServer returns a server without a data directory.
func newServer() (*Server, error) {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return nil, err
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	s.guard, err = newGuard(dir)
	return s, err
}

func (s *Server) remove() {
	s.Kill()
	_ = s.guard.Close()
	_ = os.RemoveAll(s.dir)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// configure appends the settings that differ from PostgreSQL's defaults to its config.
func (s *Server) configure() error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, settings, s.port, s.pidFile())
	return errors.Join(err, f.Close())
}

const settings = `
listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = ''
external_pid_file = '%s'
shared_buffers = 32MB
max_connections = 100
fsync = on
log_line_prefix = '%%m [%%p] %%u@%%d '
`

// start tries again while processes of a killed server are still ending.
func (s *Server) start() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := s.startOnce()
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(deadline) {
			return err
		}
	}
}

func (s *Server) startOnce() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	s.cmd = command("postgres", "-D", s.data())
	s.cmd.Stderr = log
	if err := s.run(); err != nil {
		return err
	}
	return s.awaitReady()
}

// run starts cmd, and waits for its end in the background.
func (s *Server) run() error {
	cmd, exited := s.cmd, make(chan struct{})
	if err := cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.exited = exited
	go func() { _ = cmd.Wait(); close(exited) }()
	return nil
}

func (s *Server) awaitReady() error {
	for deadline := time.Now().Add(patience); ; {
		_, err := Query(s.URL(superuser), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("PostgreSQL has ended: %s", s.Log())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, s.Log())
		}
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }
func (s *Server) pidFile() string { return filepath.Join(s.dir, "pid") }

// Log returns the end of the server's log.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.logFile())
	return string(text[max(0, len(text)-20_000):])
}

// Address returns the address that the server listens on. It stays the same.
func (s *Server) Address() string { return fmt.Sprint("127.0.0.1:", s.port) }

// URL returns the URL of a database for the superuser.
func (s *Server) URL(database string) string { return s.url(superuser, database) }

func (s *Server) url(user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Address(), Path: "/" + database,
		RawQuery: "sslmode=disable&connect_timeout=10",
	}
	return u.String()
}

// Via returns the URL with another address, such as that of a [Proxy].
func Via(databaseURL, address string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		panic(err) // the URL is of this package
	}
	u.Host = address
	return u.String()
}

// Exec runs SQL as the superuser, in the database postgres, and returns the rows as psql
// writes them: one a line, fields separated by |.
func (s *Server) Exec(t testing.TB, sql string) string {
	t.Helper()
	out, err := Query(s.URL(superuser), sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Query runs SQL in a database with psql, and returns the rows: one a line, fields
// separated by |.
func Query(databaseURL, sql string) (string, error) {
	var stderr strings.Builder
	cmd := command("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", databaseURL, "-c", sql)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
