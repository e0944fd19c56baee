package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crashesEnv     = "STRONGROOM_CRASHES" // number of crashes; make crash uses more
	defaultCrashes = 3
	crashClients   = 16
	// The audit log is compared and pruned only after this many crashes.
	// Otherwise each round would take longer than the one before.
	crashesBetween = 25
)

// One data directory survives all the crashes. Clients write without pause, the
// server is killed at a random moment, and the next server must have every
// acknowledged write, no write that was never sent, and each write in progress
// completely or not at all. The same holds for its audit log.
func TestAcknowledgedWritesSurviveKill9(t *testing.T) {
	t.Parallel()
	crashes := mustCount(t, crashesEnv, defaultCrashes)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "bolt: {}", fmt.Sprintf("bolt: {versions: %d, past_bytes: 1073741824}", keptVersions))
	clients := make([]*client, crashClients)
	for n := range clients {
		clients[n] = newClient(n, i, i.adminSocket(), rand.New(rand.NewPCG(seed, uint64(n+1))))
	}
	serve := func() *process {
		return mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	}
	p := serve()
	onRecord := newAuditRecord()
	for round := 1; round <= crashes; round++ {
		crashUnderLoad(t, p, clients, 20*time.Millisecond+time.Duration(random.Int64N(int64(380*time.Millisecond))))
		p = serve()
		p.want(t, 200, "GET", "/readyz", "", "")
		compareAll(t, p, clients)
		if round%crashesBetween == 0 || round == crashes {
			verifyAudit(t, clients[0].admin)
			onRecord.compare(t, i, clients)
			mustPrint(t, "audit", "prune", "--yes", "--keep", "1ns", "--config", i.config())
		}
		if t.Failed() {
			t.Fatalf("that was after crash %d of seed %d", round, seed)
		}
	}
	var sum tally
	for _, c := range clients {
		sum.add(c.tally)
	}
	onRecord.wantAll(t, sum)
	mustPrint(t, "doctor", "--config", i.config())
	if t.Failed() {
		t.Fatalf("that was with seed %d", seed)
	}
	t.Logf("%d crashes, %d acknowledged writes: 0 lost, 0 half, 0 phantom (%d secrets compared, %d revealed, %d versions); "+
		"of %d writes under way %d had happened and %d had not; all that happened is among %d audit entries, and the doctor finds nothing wrong",
		crashes, sum.acknowledged, sum.compared, sum.revealed, sum.versions, sum.happened+sum.not, sum.happened, sum.not, onRecord.entries)
	if sum.acknowledged == 0 || sum.compared == 0 {
		t.Error("nothing was put to the test")
	}
}

// verifyAudit checks the hash chain of the audit log.
func verifyAudit(t *testing.T, o adminSocket) {
	t.Helper()
	var report struct {
		OK      bool
		Problem string
	}
	mustDecode(t, o.want(t, 200, "/audit/verify", "{}").body, &report)
	if !report.OK {
		t.Errorf("the audit log: %s", report.Problem)
	}
}

// An auditRecord collects the entries of the audit log.
type auditRecord struct {
	last    uint64          // last entry that was read
	writes  map[string]bool // request ids of writes that succeeded
	entries int
}

func newAuditRecord() *auditRecord { return &auditRecord{writes: map[string]bool{}} }

// compare reads the new entries of the audit log and checks that they include
// every write acknowledged since the last call.
func (r *auditRecord) compare(t *testing.T, i install, clients []*client) {
	t.Helper()
	r.read(t, i)
	for _, c := range clients {
		for _, id := range c.requests {
			if !r.writes[id] {
				t.Errorf("request %s was acknowledged but the audit log does not have it", id)
			}
		}
		c.requests = nil
	}
}

func (r *auditRecord) read(t *testing.T, i install) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(mustPrint(t, "audit", "export", "--config", i.config())))
	for lines.Scan() {
		var e struct {
			Seq                      uint64
			Request, Action, Outcome string
		}
		mustDecode(t, lines.Text(), &e)
		if e.Seq <= r.last {
			continue
		}
		r.last = e.Seq
		r.entries++
		if e.Outcome != "done" || slices.Contains([]string{"init", "list", "history", "reveal", "audit prune"}, e.Action) {
			continue
		}
		if r.writes[e.Request] {
			t.Errorf("request %s is in the audit log twice", e.Request)
		}
		r.writes[e.Request] = true
	}
}

// wantAll checks that besides the acknowledged writes, the audit log has
// exactly the writes that happened without an answer.
func (r *auditRecord) wantAll(t *testing.T, sum tally) {
	t.Helper()
	if want := sum.acknowledged + sum.happened; len(r.writes) != want {
		t.Errorf("the audit log has %d writes, but %d happened", len(r.writes), want)
	}
}

// mustPrint runs a command without a time limit and returns its output.
func mustPrint(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mustBuildFast(t), args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("strongroom %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}

func crashUnderLoad(t *testing.T, p *process, clients []*client, after time.Duration) {
	t.Helper()
	var writing sync.WaitGroup
	for _, c := range clients {
		writing.Go(func() { c.write(t, p) })
	}
	<-time.After(after) // a random moment on purpose, so there is nothing to wait for
	p.mustKill(t)
	writing.Wait()
	clients[0].admin.client.CloseIdleConnections()
}

// compareAll reads everything from the server and lets each client check its
// own part.
func compareAll(t *testing.T, p *process, clients []*client) {
	t.Helper()
	found := findAll(t, p, clients[0].install, clients[0].admin)
	mine := make([]findings, len(clients))
	for n := range clients {
		mine[n] = noFindings()
	}
	whose := func(s string) findings {
		n, ok := ownerOf(s)
		if !ok || n >= len(clients) {
			t.Errorf("the server has %s, which no client created", s)
			return noFindings()
		}
		return mine[n]
	}
	for s, shown := range found.Live {
		whose(s).Live[s] = shown
	}
	for s, revisions := range found.Graves {
		whose(s).Graves[s] = revisions
	}
	var comparing sync.WaitGroup
	for n, c := range clients {
		comparing.Go(func() { c.compare(t, p, mine[n]) })
	}
	comparing.Wait()
}

// findAll returns the lists of both APIs, with descriptions or masked values,
// and of the administration API.
func findAll(t *testing.T, p *process, i install, o adminSocket) findings {
	t.Helper()
	found := noFindings()
	var custom customSecrets
	mustDecode(t, p.want(t, 200, "GET", "/api/secrets", i.sessionHeader(), "").body, &custom)
	var details []nx1Detail
	mustDecode(t, p.want(t, 200, "GET", app, i.pskHeader(), "").body, &details)
	for _, s := range custom.Secrets {
		found.Live["openhands/"+s.Name] = s.Description
	}
	for _, s := range details {
		found.Live["nx1/"+s.Name] = s.content()
	}
	if len(found.Live) != len(custom.Secrets)+len(details) {
		t.Error("a name is listed twice")
	}
	for api, owner := range ownersOf {
		var deleted []struct{ Name, Revision string }
		mustDecode(t, o.want(t, 200, "/owner/deleted", ownerRef(owner)).body, &deleted)
		slices.Reverse(deleted)
		for _, d := range deleted {
			s := api + "/" + d.Name
			found.Graves[s] = append(found.Graves[s], d.Revision)
		}
	}
	return found
}

// ownerOf returns the number of the client that owns a name: 7 for nx1/c07-3.
func ownerOf(name string) (n int, ok bool) {
	owner, _, _ := strings.Cut(filepath.Base(name), "-")
	n, err := strconv.Atoi(strings.TrimPrefix(owner, "c"))
	return n, err == nil
}

func mustDecode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// A tally counts the checks that were made.
type tally struct{ acknowledged, compared, revealed, versions, happened, not int }

func (s *tally) add(other tally) {
	s.acknowledged += other.acknowledged
	s.compared += other.compared
	s.revealed += other.revealed
	s.versions += other.versions
	s.happened += other.happened
	s.not += other.not
}
