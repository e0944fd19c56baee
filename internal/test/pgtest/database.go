package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

var databases atomic.Int64

// NewDatabase creates a database and the role that configs/postgres/role.sql describes,
// and returns its URL for this role. Both are removed with the test.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	_, self, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(self), "../../../configs/postgres/role.sql")
	if err := s.runFile(script, "role="+name, "database="+name, "password="+password); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // with errors where the server does not run any more
		_, _ = Query(s.URL(superuser), fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
		_, _ = Query(s.URL(superuser), "DROP ROLE IF EXISTS "+name)
	})
	return s.url(name, name)
}

// runFile runs an SQL script as the superuser with these variables of psql.
func (s *Server) runFile(path string, variables ...string) error {
	script, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = script.Close() }()
	args := []string{"-Xq", "-d", s.URL(superuser), "-f", "-"}
	for _, v := range variables {
		args = append(args, "-v", v)
	}
	cmd := command("psql", args...)
	cmd.Stdin = script // the other user may not be able to open it
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", path, err, out)
	}
	return nil
}
