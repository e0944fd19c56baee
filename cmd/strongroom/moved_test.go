package main_test

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

const movedAway = "the state has been moved from this database to a file"

// The move is held after its last entry in the audit log, before it reads the rows.
func TestNoNodeUsesAStateThatMovesToAFile(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t).NewDatabase(t)
	i := mustInitDatabase(t, url)
	two := i.another(t, "two")
	running := mustServe(t, two)
	running.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
	i.mustAdminister(t, "audit", "verify") // makes the cache of this node
	wantRefusal(t, i.administer(t, "migrate", "state", "--to", "file", "--path", i.path("back.db")), "the node two is running: stop all nodes first")
	running.want(t, 200, "GET", app+"/db", i.pskHeader(), "")

	// A node that is paused for long, or that starts at this moment, is not seen.
	running.signal(syscall.SIGSTOP)
	mustQuery(t, url, "delete from strongroom.nodes")
	release := mustHoldRows(t, url)
	killed := i.beginMove(t, url)
	mustWork(t, killed.Process.Kill())
	_ = killed.Wait()
	wantRefusal(t, run(t, "serve", "--config", two.config(), "--listen", "127.0.0.1:0"), "state.postgres: "+movedAway, "if the move was interrupted, repeat it")
	move := i.beginMove(t, url)
	running.signal(syscall.SIGCONT)
	if a, err := running.try(t, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"lost"}]}`); err == nil && a.status != 503 {
		t.Errorf("a running node answers %d %s", a.status, a.body)
	}
	running.wantEnd(t, movedAway)
	wantRefusal(t, run(t, "serve", "--config", i.config(), "--listen", "127.0.0.1:0"), movedAway)
	release()
	mustWork(t, move.Wait())
	// The file of the first move may be in use when another one fails.
	wantRefusal(t, i.administer(t, "migrate", "state", "--to", "file", "--path", i.path("missing/back.db")), "no such file or directory")
	wantRefusal(t, run(t, "serve", "--config", two.config(), "--listen", "127.0.0.1:0"), movedAway)

	i.mustEdit(t, "strongroom.yaml", "  postgres: {url_file: keys/database-url, cache: data/cache}", "  path: data/back.db")
	i.mustAdminister(t, "audit", "verify")
	if got := mustServe(t, i).want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "").body; !strings.Contains(got, `"v"`) {
		t.Errorf("the file has %s", got)
	}
}

func TestNodesGoOnAfterAMoveToAFileHasFailed(t *testing.T) {
	t.Parallel()
	i := mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))
	wantRefusal(t, i.administer(t, "migrate", "state", "--to", "file", "--path", i.path("missing/back.db")), "no such file or directory")
	mustServe(t, i).want(t, 200, "GET", app, i.pskHeader(), "")
}

// mustHoldRows keeps other connections from reading the rows in the database.
func mustHoldRows(t *testing.T, url string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	mustWork(t, err)
	release = func() { _ = conn.Close(t.Context()) }
	t.Cleanup(release)
	_, err = conn.Exec(t.Context(), "begin; lock table strongroom.rows in access exclusive mode")
	mustWork(t, err)
	return release
}

// beginMove starts a move to a file, and returns when it waits for the rows.
func (i install) beginMove(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	var stderr bytes.Buffer
	cmd := command(t, "migrate", "state", "--to", "file", "--path", i.path("data/back.db"), "--config", i.config())
	cmd.Stderr = &stderr
	mustWork(t, cmd.Start())
	for deadline := time.Now().Add(patience); mustQuery(t, url, "select count(*) from pg_locks where not granted and relation = 'strongroom.rows'::regclass") == "0"; {
		if time.Now().After(deadline) {
			t.Fatalf("the move does not read the rows: %s", stderr.String())
		}
	}
	return cmd
}

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	out, err := pgtest.Query(url, sql)
	mustWork(t, err)
	return out
}
