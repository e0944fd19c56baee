package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// Three nodes of an earlier program are replaced one by one, and one of them goes back, while
// clients write and read without pause. A load balancer in front of the nodes tries another
// node only if one that is being stopped refuses a connection, or closes it without an answer:
// net/http does not begin a request that it reads after the stop. The audit log shows that such
// a request was not executed. make upgrades sets the commit.
func TestNodesAreUpgradedOneByOneUnderLoad(t *testing.T) {
	commit := os.Getenv("STRONGROOM_UPGRADE_NODES_FROM")
	if commit == "" {
		t.Skip("no upgrade of nodes is tested: make upgrades names an earlier commit")
	}
	u := mustStartUpgrade(t, mustBuildCommit(t, commit), mustBuildFast(t))
	stop := u.load(t)
	for _, n := range u.nodes {
		u.replace(t, n, u.current)
		u.checkMixture(t)
	}
	u.replace(t, u.nodes[1], u.earlier)
	u.checkMixture(t)
	stop()
	u.checkEnd(t)
	t.Logf("%d changes, each read at another node; by kind of the nodes: %v; connections refused: %d, closed: %d",
		u.changes.Load(), u.pairs(), u.refused.Load(), u.closed.Load())
}

// An upgrade has three nodes behind a load balancer.
type upgrade struct {
	earlier, current string // programs
	nodes            [3]*replica
	turns            atomic.Uint64
	refused, closed  atomic.Int64 // requests that went to another node

	writers []*writer
	changes atomic.Int64
	seen    [2][2]atomic.Int64 // reads of a new value, by writing and reading program, the earlier one first
}

// A replica is a node, which one of the programs runs.
type replica struct {
	install
	running atomic.Pointer[running]
}

// A running is a process of a replica.
type running struct {
	*process
	program string
	ends    atomic.Bool
}

// A writer is the only one that changes its secret.
type writer struct {
	name     string
	headers  []string
	value    int      // the last one that was acknowledged
	requests []string // ids of those that were acknowledged
}

func mustStartUpgrade(t *testing.T, earlier, current string) *upgrade {
	t.Helper()
	u := &upgrade{earlier: earlier, current: current}
	url, file := pgtest.Start(t).NewDatabase(t), filepath.Join(mustTempDir(t), "url")
	mustWrite(t, file, url)
	i := mustInitBy(t, earlier, "--postgres", file)
	mustQuery(t, url, withoutNotifications)
	for n := range u.nodes {
		u.nodes[n] = &replica{install: i.another(t, fmt.Sprintf("node%d", n))}
		u.nodes[n].start(t, earlier)
	}
	p := u.nodes[0].running.Load()
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"x"}`)
	for n := range 6 {
		w := &writer{name: fmt.Sprintf("w%d", n), headers: []string{i.pskHeader(), "Idempotency-Key: for net/http"}}
		if n%2 == 0 {
			w.headers = append(w.headers, "Connection: close") // each request has a new one
		}
		u.writers = append(u.writers, w)
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+w.name+`","data":[]}`)
	}
	return u
}

// Without the notifications of earlier programs, a node sees a change at once only because it
// asks the database.
const withoutNotifications = `do $$ begin
	execute replace(pg_get_functiondef('strongroom.append'::regproc), 'perform pg_notify', '-- perform pg_notify');
end $$`

func (r *replica) start(t *testing.T, program string) {
	t.Helper()
	p := mustStart(t, program, "serve", "--config", r.config(), "--listen", "127.0.0.1:0")
	r.running.Store(&running{process: p, program: program})
}

// mustAdminister runs a command with the program of the node, as its administrator does.
func (r *replica) mustAdminister(t *testing.T, args ...string) string {
	t.Helper()
	got := runProgram(t, r.running.Load().program, append(args, "--config", r.config())...)
	if got.code != 0 {
		t.Errorf("%v: %s", args, got.stderr)
	}
	return got.stdout
}

// replace stops a node and starts a program in its place.
func (u *upgrade) replace(t *testing.T, r *replica, program string) {
	t.Helper()
	was := r.running.Load()
	was.ends.Store(true)
	was.signal(syscall.SIGTERM) // the load balancer keeps its connections
	if code, log := was.mustEnd(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, log)
	}
	r.start(t, program)
}

// send sends a request that may be repeated to the next node.
func (u *upgrade) send(t *testing.T, r request) (a answer, program string, err error) {
	t.Helper()
	for range 10 * len(u.nodes) {
		to := u.nodes[u.turns.Add(1)%uint64(len(u.nodes))].running.Load()
		began := time.Now()
		if a, err = to.send(t, r); err != nil {
			err = fmt.Errorf("%w, after %s; the node ends: %v", err, time.Since(began).Round(time.Millisecond), to.ends.Load())
		}
		switch isClosed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE); {
		case errors.Is(err, syscall.ECONNREFUSED) && to.ends.Load():
			u.refused.Add(1)
		case isClosed && to.ends.Load():
			u.closed.Add(1)
		default:
			return a, to.program, err
		}
	}
	return a, "", errors.New("no node answers")
}

// load lets all writers work until stop is called.
func (u *upgrade) load(t *testing.T) (stop func()) {
	t.Helper()
	var over atomic.Bool
	wait := atOnce(len(u.writers), func(n int) {
		for !over.Load() && !t.Failed() {
			u.work(t, u.writers[n])
		}
	})
	stop = func() { over.Store(true); wait() }
	t.Cleanup(stop)
	return stop
}

// work changes the secret of a writer on a node, and reads it on others. Only the masked read
// writes nothing, so it alone does not notice by a conflict that its node is behind.
func (u *upgrade) work(t *testing.T, w *writer) {
	t.Helper()
	path, value := app+"/"+w.name, w.value+1
	put, wrote := u.want200(t, request{"PUT", path, w.headers, fmt.Sprintf(`{"data":[{"key":"k","value":"%d"}]}`, value)})
	if put.status != 200 {
		return
	}
	w.value, w.requests = value, append(w.requests, put.header.Get("X-Request-Id"))
	masked, read := u.want200(t, request{"GET", path, w.headers, ""})
	if etag := put.header.Get("ETag"); etag == "" || masked.status == 200 && masked.header.Get("ETag") != etag {
		t.Errorf("%s has written revision %s, and %s reads %s", wrote, etag, read, masked.header.Get("ETag"))
	}
	revealed, _ := u.want200(t, request{"GET", path + "/reveal", w.headers, ""})
	if revealed.status == 200 && !strings.Contains(revealed.body, fmt.Sprintf(`"value":"%d"`, value)) {
		t.Errorf("%s has written %d, and it is %s", wrote, value, revealed.body)
	}
	u.changes.Add(1)
	u.seen[u.kind(wrote)][u.kind(read)].Add(1)
}

// want200 sends a request to the next node. It returns status 0 after an error.
func (u *upgrade) want200(t *testing.T, r request) (a answer, program string) {
	t.Helper()
	a, program, err := u.send(t, r)
	if (err != nil || a.status != 200) && t.Context().Err() == nil { // else the test has failed already
		t.Errorf("%s %s at %s: %d %s, %v", r.method, r.path, program, a.status, a.body, err)
	}
	return a, program
}

// kind returns 0 for the earlier program, and 1 for this one.
func (u *upgrade) kind(program string) int {
	if program == u.earlier {
		return 0
	}
	return 1
}

// pairs returns seen as numbers.
func (u *upgrade) pairs() (n [2][2]int64) {
	for i := range n {
		for j := range n[i] {
			n[i][j] = u.seen[i][j].Load()
		}
	}
	return n
}

// checkMixture checks what nodes of both programs promise to each other.
func (u *upgrade) checkMixture(t *testing.T) {
	t.Helper()
	u.awaitChanges(t, 200)
	for n, revoker := range u.nodes {
		issuer := u.nodes[(n+1)%len(u.nodes)]
		u.checkRevocation(t, issuer, revoker)
		u.checkCountedReads(t, issuer)
		u.checkStatus(t, revoker)
	}
	if t.Failed() {
		t.FailNow()
	}
}

func (u *upgrade) awaitChanges(t *testing.T, more int64) {
	t.Helper()
	enough, deadline := u.changes.Load()+more, time.Now().Add(patience)
	for u.changes.Load() < enough && !t.Failed() {
		if time.Sleep(10 * time.Millisecond); time.Now().After(deadline) {
			t.Fatal("the writers have stopped")
		}
	}
}

// checkRevocation checks that each node accepts a key that another has issued, and refuses it
// as soon as a third one has revoked it.
func (u *upgrade) checkRevocation(t *testing.T, issuer, revoker *replica) {
	t.Helper()
	key := strings.TrimSpace(issuer.mustAdminister(t, "agent-key", "create", "--for", "1h", "--sandbox", "s", theUser, "TOKEN"))
	use := func(status int) {
		t.Helper()
		for _, n := range u.nodes {
			n.running.Load().want(t, status, "GET", customValue, "X-Session-API-Key: "+key, "")
		}
	}
	use(200)
	revoker.mustAdminister(t, "agent-key", "revoke", "--sandbox", "s", "--yes")
	use(401)
}

// checkCountedReads checks that an agent key allows exactly its number of reads on all nodes
// together.
func (u *upgrade) checkCountedReads(t *testing.T, issuer *replica) {
	t.Helper()
	const allowed, workers = 20, 9
	key := strings.TrimSpace(issuer.mustAdminister(t, "agent-key", "create", "--for", "1h", "--reads", fmt.Sprint(allowed), theUser, "TOKEN"))
	var read atomic.Int64
	atOnce(workers, func(n int) {
		for range allowed / 2 {
			a, err := u.nodes[n%len(u.nodes)].running.Load().try(t, "GET", customValue, "X-Session-API-Key: "+key, "")
			switch {
			case err != nil || a.status != 200 && a.status != 401 && a.status != 403: // the last read may have come in between
				t.Errorf("a counted read: %d %s, %v", a.status, a.body, err)
			case a.status == 200:
				read.Add(1)
			}
		}
	})()
	if got := read.Load(); got != allowed {
		t.Errorf("the key has allowed %d reads, want %d", got, allowed)
	}
}

// checkStatus checks that a node shows each node with the version of its program.
func (u *upgrade) checkStatus(t *testing.T, of *replica) {
	t.Helper()
	want := map[string]int{}
	for _, n := range u.nodes {
		want[strings.TrimSpace(runProgram(t, n.running.Load().program, "version").stdout)]++
	}
	for deadline := time.Now().Add(patience); ; { // a node reports itself when it serves already
		out, isThere := of.mustAdminister(t, "status"), true
		for version, count := range want {
			isThere = isThere && strings.Count(out, ", version "+version+", ") == count && !strings.Contains(out, "silent")
		}
		if isThere {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("status shows\n%s\nwant %v", out, want)
		}
	}
}

// checkEnd checks that no acknowledged change is lost, and that each node finds its state and
// the audit log whole.
func (u *upgrade) checkEnd(t *testing.T) {
	t.Helper()
	for _, n := range u.nodes {
		for _, w := range u.writers {
			if got := n.running.Load().want(t, 200, "GET", app+"/"+w.name+"/reveal", n.pskHeader(), "").body; !strings.Contains(got, fmt.Sprintf(`"value":"%d"`, w.value)) {
				t.Errorf("%s is %s, want %d", w.name, got, w.value)
			}
		}
		n.mustAdminister(t, "audit", "verify")
		n.mustAdminister(t, "doctor")
	}
	onRecord, acknowledged := newAuditRecord(), 0
	onRecord.read(t, u.nodes[0].install)
	for _, w := range u.writers {
		acknowledged += len(w.requests)
		for _, id := range w.requests {
			if !onRecord.writes[id] {
				t.Errorf("request %s was acknowledged but the audit log does not have it", id)
			}
		}
	}
	if got := strings.Count(u.nodes[0].mustAdminister(t, "audit", "export"), `"action":"write"`); got != acknowledged {
		t.Errorf("the audit log has %d changes, and %d were acknowledged", got, acknowledged)
	}
	for wrote, row := range u.pairs() {
		for read, n := range row {
			if n == 0 {
				t.Errorf("no change of program %d was read by program %d", wrote, read)
			}
		}
	}
}
