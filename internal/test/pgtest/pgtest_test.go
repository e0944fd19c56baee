package pgtest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	out, err := pgtest.Query(url, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantError(t *testing.T, url, sql, text string) {
	t.Helper()
	if out, err := pgtest.Query(url, sql); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %q, %v, want an error with %q", sql, out, err, text)
	}
}

func TestServersFlushToDisk(t *testing.T) {
	s := pgtest.Start(t)
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if got := s.Exec(t, "SHOW "+name); got != "on" {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestKillLosesOnlyWhatWasNotCommitted(t *testing.T) {
	s := pgtest.New(t)
	url := s.NewDatabase(t)
	mustQuery(t, url, "CREATE SCHEMA s; CREATE TABLE s.t (n int); INSERT INTO s.t VALUES (1)")
	s.Kill()
	wantError(t, url, "SELECT 1", "refused")
	s.Restart(t)
	if got := mustQuery(t, url, "SELECT n FROM s.t"); got != "1" {
		t.Errorf("got %q, want 1", got)
	}
	if !strings.Contains(s.Log(), "automatic recovery") {
		t.Errorf("the server did not crash: %s", s.Log())
	}
}

func TestStandbyHasEveryCommit(t *testing.T) {
	primary := pgtest.New(t)
	standby := primary.Standby(t)
	url := primary.NewDatabase(t)
	mustQuery(t, url, "CREATE SCHEMA s; CREATE TABLE s.t (n int)")
	for n := range 10 {
		mustQuery(t, url, fmt.Sprintf("INSERT INTO s.t VALUES (%d)", n))
	}
	primary.Kill()
	standby.Promote(t)
	url = pgtest.Via(url, standby.Address())
	if got := mustQuery(t, url, "INSERT INTO s.t VALUES (10); SELECT count(*) FROM s.t"); got != "11" {
		t.Errorf("got %q rows, want 11", got)
	}
	primary.Follow(t, standby) // and back
	mustQuery(t, url, "INSERT INTO s.t VALUES (11)")
	standby.Kill()
	primary.Promote(t)
	if got := mustQuery(t, pgtest.Via(url, primary.Address()), "INSERT INTO s.t VALUES (12); SELECT count(*) FROM s.t"); got != "13" {
		t.Errorf("got %q rows, want 13", got)
	}
}

func TestCommitWaitsForTheStandby(t *testing.T) {
	primary := pgtest.New(t)
	standby := primary.Standby(t)
	standby.Stop(t)
	done := make(chan error)
	go func() { // a timeout would not end the wait
		_, err := pgtest.Query(primary.URL("postgres"), "CREATE TABLE t (n int)")
		done <- err
	}()
	for primary.Exec(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "1" {
		select {
		case err := <-done:
			t.Fatalf("the commit did not wait: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	standby.Restart(t)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBouncerGivesEachTransactionAConnection(t *testing.T) {
	s := pgtest.Start(t)
	url := pgtest.Via(s.NewDatabase(t), s.Bouncer(t))
	first := mustQuery(t, url, "SELECT pg_backend_pid()")
	if second := mustQuery(t, url, "SELECT pg_backend_pid()"); second != first {
		t.Errorf("the connection was not kept: %s, then %s", first, second)
	}
}

func TestDisconnectEndsConnections(t *testing.T) {
	s := pgtest.New(t)
	done := make(chan error)
	go func() {
		_, err := pgtest.Query(s.URL("postgres"), "SELECT pg_sleep(60)")
		done <- err
	}()
	for s.Disconnect(t) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "terminating connection") {
		t.Errorf("got %v", err)
	}
}

func TestProxyDoesWhatItIsTold(t *testing.T) {
	s := pgtest.Start(t)
	proxy := pgtest.NewProxy(t, s.Address())
	url := pgtest.Via(s.URL("postgres"), proxy.Address())
	if got := mustQuery(t, url, "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	proxy.Refuse(true)
	wantError(t, url, "SELECT 1", "")
	proxy.Refuse(false)
	proxy.CutAtRandom(1)
	wantError(t, url, "SELECT 1", "")
	if proxy.Cuts() == 0 {
		t.Error("no cut was counted")
	}
	proxy.CutAtRandom(0)
	proxy.Stall(true)
	done := make(chan error)
	go func() {
		_, err := pgtest.Query(url, "SELECT 1")
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("answered through a stalled proxy: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	proxy.Stall(false)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCutClosesOpenConnections(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = echo.Close() }()
	go func() {
		for {
			if _, err := echo.Accept(); err != nil {
				return
			}
		}
	}()
	proxy := pgtest.NewProxy(t, echo.Addr().String())
	conn, err := net.Dial("tcp", proxy.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	ended := make(chan error)
	go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
	for {
		proxy.Cut()
		select {
		case err := <-ended:
			if err, ok := err.(net.Error); ok && err.Timeout() {
				t.Error("the connection stayed open")
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// configs/postgres/role.sql gives the least rights.
func TestRoleHasTheLeastRights(t *testing.T) {
	s := pgtest.Start(t)
	url, other := s.NewDatabase(t), s.NewDatabase(t)
	mustQuery(t, other, "CREATE SCHEMA strongroom; CREATE TABLE strongroom.t (n int)")
	_, name, _ := strings.Cut(other, "@")
	_, name, _ = strings.Cut(name, "/")
	name, _, _ = strings.Cut(name, "?")
	own, _, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), ":")

	if got := mustQuery(t, url, "CREATE SCHEMA strongroom; CREATE TABLE strongroom.t (n int); SELECT count(*) FROM strongroom.t"); got != "0" {
		t.Errorf("got %q", got)
	}
	wantError(t, strings.Replace(url, "/"+own+"?", "/"+name+"?", 1), "SELECT 1", "permission denied for database")
	wantError(t, url, "CREATE TABLE public.t (n int)", "permission denied for schema public")
	wantError(t, url, "CREATE ROLE x", "permission denied")
	wantError(t, url, "CREATE DATABASE x", "permission denied")
	wantError(t, url, "SELECT * FROM pg_authid", "permission denied")
	wantError(t, url, "COPY (SELECT 1) TO PROGRAM 'true'", "")
	wantError(t, url, "SELECT pg_read_file('/etc/passwd')", "permission denied")
	if got := mustQuery(t, url, "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user"); got != "f" {
		t.Errorf("the role has a right of an administrator")
	}
	// Without CREATE the role goes on working in its schema.
	s.Exec(t, "REVOKE CREATE ON DATABASE "+own+" FROM "+own)
	wantError(t, url, "CREATE SCHEMA another", "permission denied for database")
	mustQuery(t, url, "INSERT INTO strongroom.t VALUES (1)")
}

// configs/postgres/serving-role.sql gives rights on rows only.
func TestServingRoleCannotChangeTables(t *testing.T) {
	s := pgtest.Start(t)
	url := s.NewDatabase(t)
	mustQuery(t, url, `CREATE SCHEMA strongroom; CREATE TABLE strongroom.t (n int);
		CREATE FUNCTION strongroom.f() RETURNS int LANGUAGE sql AS 'INSERT INTO strongroom.t VALUES (2) RETURNING n'`)
	serving := s.ServingRole(t, url)
	if got := mustQuery(t, serving, `INSERT INTO strongroom.t VALUES (1); SELECT strongroom.f(); UPDATE strongroom.t SET n = n + 1;
		DELETE FROM strongroom.t WHERE n = 3; SELECT n FROM strongroom.t`); got != "2\n2" {
		t.Errorf("got %q", got)
	}
	wantError(t, serving, "DROP TABLE strongroom.t", "must be owner")
	wantError(t, serving, "ALTER TABLE strongroom.t ADD m int", "must be owner")
	wantError(t, serving, "TRUNCATE strongroom.t", "permission denied")
	wantError(t, serving, "CREATE TABLE strongroom.u (n int)", "permission denied")
	wantError(t, serving, "CREATE SCHEMA another", "permission denied")
}
