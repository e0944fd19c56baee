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
	crashesEnv     = "STRONGROOM_CRASHES" // how many; make crash asks for more
	defaultCrashes = 3
	crashClients   = 16
	// The audit log is compared every so many crashes, and pruned, or each would
	// take longer than the one before.
	crashesBetween = 25
)

// One data directory lives through all the crashes. Clients write without a
// pause, the server is killed at some moment, and the next one must know
// everything that was acknowledged, nothing that was not asked for, and of
// what was under way all or nothing; and so must its audit log.
func TestEveryAcknowledgedWriteOutlivesKill9(t *testing.T) {
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

// verifyAudit makes sure that the chain holds.
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

// An auditRecord is what the audit log has said so far.
type auditRecord struct {
	last    uint64          // entry that was read
	writes  map[string]bool // that happened, by the ids of their requests
	entries int
}

func newAuditRecord() *auditRecord { return &auditRecord{writes: map[string]bool{}} }

// compare reads what is new in the audit log, and makes sure that every write
// that was acknowledged since the last time is in it.
func (r *auditRecord) compare(t *testing.T, i install, clients []*client) {
	t.Helper()
	r.read(t, i)
	for _, c := range clients {
		for _, id := range c.requests {
			if !r.writes[id] {
				t.Errorf("request %s was acknowledged and is not on record as done", id)
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
			t.Errorf("request %s is on record twice", e.Request)
		}
		r.writes[e.Request] = true
	}
}

// wantAll makes sure that beside the acknowledged writes exactly as many are on
// record as had happened without an answer.
func (r *auditRecord) wantAll(t *testing.T, sum tally) {
	t.Helper()
	if want := sum.acknowledged + sum.happened; len(r.writes) != want {
		t.Errorf("%d writes are on record, and %d happened", len(r.writes), want)
	}
}

// mustPrint runs a command for as long as it takes and returns what it prints.
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
	<-time.After(after) // the moment is the point: nothing happens that one could wait for
	p.mustKill(t)
	writing.Wait()
	clients[0].admin.client.CloseIdleConnections()
}

// compareAll asks the server for all it has and shares it out to the clients
// that it belongs to.
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
			t.Errorf("there is a %s that nobody ever created", s)
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

// findAll returns what both APIs list, descriptions or keys with masks, and
// the administration API.
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

// ownerOf tells whose a name is: c07 in nx1/c07-3.
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

// A tally counts what was put to the test.
type tally struct{ acknowledged, compared, revealed, versions, happened, not int }

func (s *tally) add(other tally) {
	s.acknowledged += other.acknowledged
	s.compared += other.compared
	s.revealed += other.revealed
	s.versions += other.versions
	s.happened += other.happened
	s.not += other.not
}
