package main_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// An outage happens while players send operations. When it returns, all works again.
type outage struct {
	name   string
	strike func(t *testing.T, f *fleet, random *rand.Rand)
}

var outages = []outage{
	{"a node is killed", func(t *testing.T, f *fleet, random *rand.Rand) {
		n := f.anyNode(random)
		pause(random, 500)
		n.process.Load().mustKill(t)
		pause(random, 500)
		n.start(t)
	}},
	{"all nodes are killed", func(t *testing.T, f *fleet, random *rand.Rand) {
		pause(random, 500)
		for _, n := range f.nodes {
			n.process.Load().mustKill(t)
		}
		for _, n := range f.nodes {
			n.start(t)
		}
	}},
	{"a node is paused", func(_ *testing.T, f *fleet, random *rand.Rand) {
		p := f.anyNode(random).process.Load()
		pause(random, 500)
		p.signal(syscall.SIGSTOP)
		pause(random, 5000)
		p.signal(syscall.SIGCONT)
	}},
	{"a node is alone", func(t *testing.T, f *fleet, random *rand.Rand) {
		_, comeBack := f.leaveAlone(t, random)
		pause(random, 2000)
		comeBack()
	}},
	{"a node was alone, and is paused", func(t *testing.T, f *fleet, random *rand.Rand) {
		alone, comeBack := f.leaveAlone(t, random)
		alone.process.Load().signal(syscall.SIGSTOP)
		comeBack()
		pause(random, 5000)
		alone.process.Load().signal(syscall.SIGCONT)
	}},
	{"a node was alone, and loses the database", func(t *testing.T, f *fleet, random *rand.Rand) {
		alone, comeBack := f.leaveAlone(t, random)
		alone.stall(true)
		comeBack()
		pause(random, 5000)
		alone.stall(false)
	}},
	{"connections are cut at random", func(_ *testing.T, f *fleet, random *rand.Rand) {
		f.eachProxy(func(p *pgtest.Proxy) { p.CutAtRandom(0.02) })
		pause(random, 4000)
		f.eachProxy(func(p *pgtest.Proxy) { p.CutAtRandom(0) })
	}},
	{"all connections are cut at once", func(_ *testing.T, f *fleet, random *rand.Rand) {
		for range 5 {
			pause(random, 300)
			f.eachProxy(func(p *pgtest.Proxy) { p.Cut() })
		}
	}},
	{"a node loses the database", func(_ *testing.T, f *fleet, random *rand.Rand) {
		n := f.anyNode(random)
		pause(random, 300)
		for _, p := range n.proxies {
			p.Refuse(true)
		}
		pause(random, 3000)
		for _, p := range n.proxies {
			p.Refuse(false)
		}
	}},
	{"a node's connections stall", func(_ *testing.T, f *fleet, random *rand.Rand) {
		n := f.anyNode(random)
		pause(random, 300)
		n.stall(true)
		pause(random, 3000)
		n.stall(false)
	}},
	{"pg_terminate_backend", func(t *testing.T, f *fleet, random *rand.Rand) {
		for range 5 {
			pause(random, 300)
			f.primary.Disconnect(t)
		}
	}},
	{"the database restarts", func(t *testing.T, f *fleet, random *rand.Rand) {
		pause(random, 500)
		f.primary.Restart(t)
		f.primary.AwaitStandby(t)
	}},
	{"the database crashes", func(t *testing.T, f *fleet, random *rand.Rand) {
		pause(random, 500)
		f.primary.Kill()
		f.primary.Restart(t)
		f.primary.AwaitStandby(t)
	}},
	{"the standby restarts", func(t *testing.T, f *fleet, random *rand.Rand) {
		pause(random, 300)
		f.standby.Restart(t)
		f.primary.AwaitStandby(t)
	}},
	{"the standby is promoted", func(t *testing.T, f *fleet, random *rand.Rand) {
		pause(random, 500)
		f.primary.Kill()
		f.standby.Promote(t)
		pause(random, 500)
		f.primary, f.standby = f.standby, f.primary
		f.standby.Follow(t, f.primary)
	}},
}

func (f *fleet) anyNode(random *rand.Rand) *member { return f.nodes[random.IntN(len(f.nodes))] }

// stall lets nothing pass between the node and the database, or lets it pass again.
func (n *member) stall(stalled bool) {
	for _, p := range n.proxies {
		p.Stall(stalled)
	}
}

// leaveAlone pauses all nodes but one, until that one has taken the lease.
func (f *fleet) leaveAlone(t *testing.T, random *rand.Rand) (alone *member, comeBack func()) {
	alone = f.anyNode(random)
	others := func(s syscall.Signal) {
		for _, n := range f.nodes {
			if n != alone {
				n.process.Load().signal(s)
			}
		}
	}
	others(syscall.SIGSTOP)
	before := f.leaseChanges(t)
	for began := time.Now(); f.leaseChanges(t) == before; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > state.AloneFor+time.Minute {
			t.Error("a node that is alone has not taken the lease")
			break
		}
	}
	return alone, func() { others(syscall.SIGCONT) }
}

// leaseChanges returns the number of changes in the database that have a row of the lease.
func (f *fleet) leaseChanges(t *testing.T) string {
	const sql = "select count(*) from strongroom.changes where position('state/lease'::bytea in body) > 0"
	count, err := pgtest.Query(pgtest.Via(f.url, f.primary.Address()), sql)
	if err != nil {
		t.Error(err)
	}
	return count
}

func (f *fleet) eachProxy(do func(*pgtest.Proxy)) {
	for _, n := range f.nodes {
		for _, p := range n.proxies {
			do(p)
		}
	}
}

// pause waits for a random time, because faults have to come at any moment.
func pause(random *rand.Rand, milliseconds int) {
	time.Sleep(time.Duration(random.IntN(milliseconds)) * time.Millisecond)
}

// shuffled returns the numbers of all outages in a random order.
func shuffled(random *rand.Rand) []int { return random.Perm(len(outages)) }
