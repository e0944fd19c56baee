package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Bouncer starts PgBouncer in transaction mode in front of the server, and returns its
// address for [Via]. Without PgBouncer the test is skipped.
func (s *Server) Bouncer(t testing.TB) (address string) {
	t.Helper()
	path, err := bouncerPath()
	if err != nil {
		t.Skipf("PGBOUNCER IS NOT TESTED: %v: install Debian's package pgbouncer", err)
	}
	b, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.remove)
	if err := b.startBouncer(path, s); err != nil {
		t.Fatal(err)
	}
	await(t, "PgBouncer", func() bool {
		_, err := Query(Via(s.URL(superuser), b.Address()), "SELECT 1")
		return err == nil
	})
	return b.Address()
}

// bouncerPath returns the program's path, which may not be in the PATH of users.
func bouncerPath() (string, error) {
	path, err := exec.LookPath("pgbouncer")
	if err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/pgbouncer")
}

// bouncerConfig lets roles log in with their own passwords, which PgBouncer looks up.
const bouncerConfig = `[databases]
* = host=127.0.0.1 port=%[1]d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[2]d
unix_socket_dir =
pidfile = %[3]s/pid
logfile = %[3]s/log
auth_type = scram-sha-256
auth_file = %[3]s/users
auth_user = %[4]s
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
`

func (s *Server) startBouncer(path string, target *Server) error {
	config, users := filepath.Join(s.dir, "pgbouncer.ini"), filepath.Join(s.dir, "users")
	err := errors.Join(
		os.WriteFile(config, fmt.Appendf(nil, bouncerConfig, target.port, s.port, s.dir, superuser), 0o600),
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", superuser, password), 0o600),
		own(config), own(users))
	if err != nil {
		return err
	}
	s.cmd = command(path, "-q", config)
	return s.run()
}
