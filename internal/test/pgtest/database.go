package pgtest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

var databases atomic.Int64

// NewDatabase creates a database and the role that configs/postgres/role.sql describes,
// and returns its URL for this role. Both are removed with the test.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name, err := s.createDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // with errors where the server does not run any more
		_, _ = Query(s.URL(superuser), fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
		_, _ = Query(s.URL(superuser), "DROP ROLE IF EXISTS "+name)
	})
	return s.url(name, name)
}

// CreateDatabase is NewDatabase for a program that is not a test.
func (s *Server) CreateDatabase() (url string, err error) {
	name, err := s.createDatabase()
	return s.url(name, name), err
}

func (s *Server) createDatabase() (name string, err error) {
	name = fmt.Sprintf("test_%d", databases.Add(1))
	return name, s.runFile("role.sql", superuser, "role="+name, "database="+name, "password="+password)
}

// runFile runs a script of configs/postgres as the superuser with these variables of psql.
func (s *Server) runFile(name, database string, variables ...string) error {
	_, self, _, _ := runtime.Caller(0)
	script, err := os.Open(filepath.Join(filepath.Dir(self), "../../../configs/postgres", name))
	if err != nil {
		return err
	}
	defer func() { _ = script.Close() }()
	args := []string{"-Xq", "-d", s.URL(database), "-f", "-"}
	for _, v := range variables {
		args = append(args, "-v", v)
	}
	cmd := command("psql", args...)
	cmd.Stdin = script // the other user may not be able to open it
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// ServingRole creates the role that configs/postgres/serving-role.sql describes for a
// database of NewDatabase which has the schema strongroom, and returns the URL for it.
func (s *Server) ServingRole(t testing.TB, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/")
	role := database + "_serve"
	if err := s.runFile("serving-role.sql", database, "role="+role, "password="+password); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = Query(s.URL(database), "DROP OWNED BY "+role)
		_, _ = Query(s.URL(superuser), "DROP ROLE IF EXISTS "+role)
	})
	return s.url(role, database)
}
