package main_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

const (
	nodeOperationsEnv     = "STRONGROOM_LINEAR_NODES" // number of operations; make linear-nodes uses more
	defaultNodeOperations = 8000

	// Smallest number of operations between two faults, if there are so many.
	operationsOfAFault = 500
)

// Three nodes share a database with a synchronous standby. Each player sends each operation
// to any of them, while nodes, connections and the database fail: see outages. Whatever
// fails, the history of each owner must be linearizable, and the audit log must have each
// acknowledged change once.
func TestOperationsOnThreeNodesAreLinearizable(t *testing.T) {
	t.Parallel()
	operations := mustCount(t, nodeOperationsEnv, defaultNodeOperations)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1<<32))
	f := mustStartFleet(t)
	players, auditors := gather(f.tenants, seed)
	schedule := shuffled(random)
	happened := map[string]int{}
	for left, phase := operations, 0; left > 0; phase++ {
		o := outages[schedule[phase%len(schedule)]]
		began := time.Now()
		left -= f.playThrough(t, players, min(operationsOfAFault, operations/len(outages)), func() { o.strike(t, f, random) })
		happened[o.name]++
		for _, n := range f.nodes {
			f.settle(t, func() *member { return n })
		}
		for _, p := range players {
			p.keep()
		}
		inParallel(auditors, func(a *player) { f.lookAround(t, a) })
		t.Logf("%d operations to go after %q in %s", max(0, left), o.name, time.Since(began).Round(time.Millisecond))
		if t.Failed() {
			t.Fatalf("that was in phase %d of seed %d", phase, seed)
		}
	}
	if checkNodes(t, f, players, seed); t.Failed() {
		return
	}
	count := countOf(f.tenants)
	t.Logf("%d operations of %d clients on %d owners and %d nodes: %d answered, %d not; no violation, no acknowledged change lost or made twice; faults: %v",
		count.answered+count.lost, len(players), len(f.tenants), len(f.nodes), count.answered, count.lost, happened)
	if count.answered < operations {
		t.Errorf("%d operations were answered, want %d", count.answered, operations)
	}
}

// checkNodes checks the histories and the audit log at the end.
func checkNodes(t *testing.T, f *fleet, players []*player, seed uint64) {
	t.Helper()
	for _, n := range f.tenants {
		if !linearizable(t, n, seed) {
			return
		}
	}
	checkThatDamageIsDetected(t, f.tenants)
	for _, n := range f.nodes {
		mustPrint(t, "audit", "verify", "--config", n.config())
		if findings := mustPrint(t, "doctor", "--config", n.config()); strings.Contains(findings, "WRONG") {
			t.Error(findings)
		}
	}
	onRecord := newAuditRecord()
	onRecord.read(t, f.nodes[0].install)
	acknowledged := 0
	for _, p := range players {
		acknowledged += len(p.requests)
		for _, id := range p.requests {
			if !onRecord.writes[id] {
				t.Errorf("request %s was acknowledged but the audit log does not have it", id)
			}
		}
	}
	most := acknowledged + countOf(f.tenants).lost + int(f.settled.Load())
	if got := len(onRecord.writes); got > most {
		t.Errorf("the audit log has %d changes, but only %d requests", got, most)
	}
}

// A fleet is three nodes, a database and its standby.
type fleet struct {
	primary, standby *pgtest.Server
	url              string // of the database, with the address of the first primary
	nodes            []*member
	tenants          []*tenant
	settled          atomic.Int64 // changes that settle has tried
}

// A member is a node, which reaches each database server through a proxy of its own.
type member struct {
	install
	proxies []*pgtest.Proxy
	process atomic.Pointer[process]
}

func mustStartFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{primary: pgtest.New(t)}
	f.standby = f.primary.Standby(t)
	f.url = f.primary.NewDatabase(t)
	first := mustInitDatabase(t, f.url)
	f.tenants = append(apps(first), mustAddUsers(t, first)...)
	for number := range 3 {
		name := fmt.Sprintf("node%d", number)
		n := &member{install: first.another(t, name)}
		var hosts []string
		for _, s := range []*pgtest.Server{f.primary, f.standby} {
			proxy := pgtest.NewProxy(t, s.Address())
			n.proxies = append(n.proxies, proxy)
			hosts = append(hosts, proxy.Address())
		}
		mustWrite(t, n.path("keys/database-url"), pgtest.Via(f.url, strings.Join(hosts, ","))+"&target_session_attrs=read-write\n")
		n.start(t)
		f.nodes = append(f.nodes, n)
	}
	return f
}

func (n *member) start(t *testing.T) {
	n.process.Store(mustStart(t, mustBuildFast(t), "serve", "--config", n.config(), "--listen", "127.0.0.1:0"))
}

// playThrough lets the players play on while something fails, and until they have had
// enough answers. It returns the number of answers.
func (f *fleet) playThrough(t *testing.T, players []*player, enoughAre int, strike func()) (answers int) {
	t.Helper()
	var answered atomic.Int64
	enough := make(chan struct{})
	over := make(chan struct{})
	var playing sync.WaitGroup
	for _, p := range players {
		playing.Go(func() {
			for t.Context().Err() == nil && !t.Failed() {
				select {
				case <-over:
					return
				default:
				}
				if p.playOn(t, f) && answered.Add(1) == int64(enoughAre) {
					close(enough)
				}
			}
		})
	}
	strike()
	select {
	case <-enough:
	case <-t.Context().Done():
	case <-time.After(5 * patience):
		t.Errorf("only %d of %d operations were answered", answered.Load(), enoughAre)
	}
	close(over)
	playing.Wait()
	return int(answered.Load())
}

// playOn sends an operation to some node, and reports whether it was answered.
func (p *player) playOn(t *testing.T, f *fleet) bool {
	recorded := len(p.history)
	err := p.do(t, f.anyNode(p.random).process.Load(), p.next())
	if err != nil && len(p.history) > recorded {
		f.settle(t, func() *member { return f.anyNode(p.random) })
		p.history[recorded].Return = p.clock()
	}
	return err == nil
}

// settle makes a change on a node, with as many attempts as it takes. When it is
// acknowledged, no earlier change without an answer can happen any more: each can only come
// behind the last one that its node had seen. Reads are answered again once the entries of
// reads that waited for the database are in the audit log.
func (f *fleet) settle(t *testing.T, choose func() *member) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		n := choose()
		body := fmt.Sprintf(`{"secret_name":"settled-%d","data":[]}`, f.settled.Add(1))
		p, headers := n.process.Load(), []string{n.pskHeader()}
		a, err := p.send(t, request{method: "POST", path: app, headers: headers, body: body})
		if err == nil && a.status == 200 {
			a, err = p.send(t, request{method: "GET", path: app + "/settled-0", headers: headers})
		}
		if err == nil && a.status == 404 {
			return
		}
		if time.Now().After(deadline) {
			n.process.Load().signal(syscall.SIGQUIT) // prints the stacks of its goroutines
			_, log := n.process.Load().mustEnd(t)
			t.Errorf("a node makes no changes: %d, %v\n%s", a.status, err, log)
			return
		}
	}
}

// lookAround reads everything on each node while no player writes.
func (f *fleet) lookAround(t *testing.T, auditor *player) {
	for _, n := range f.nodes {
		auditor.lookAround(t, n.process.Load())
		if t.Failed() {
			log, _ := n.process.Load().said()
			t.Fatalf("%s", log[max(0, len(log)-2000):])
		}
	}
}
