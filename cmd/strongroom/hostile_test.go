package main_test

import (
	"os"
	"testing"
	"time"
)

const (
	hostileEnv     = "STRONGROOM_HOSTILE" // how many connections; make hostile asks for more
	defaultHostile = 220
	// hostileMemory is the most that the server may take under attack, in KiB.
	hostileMemory = 256 << 10
)

// hostileSize returns how many connections an attack opens, and settings below
// listen: with which the connection limit is lower by 7 %, as the default limit
// is for 2,200.
func hostileSize(t *testing.T) int { return mustCount(t, hostileEnv, defaultHostile) }

// hostileWait is how long a new client may have to wait for its answer. A test
// among others on a busy machine is given more time.
func hostileWait() time.Duration {
	if os.Getenv(hostileEnv) != "" {
		return time.Second
	}
	return 10 * time.Second
}

// mustWithstand runs an attack while good clients, connected and new ones, are
// served, and afterwards for as long as longer. It checks that none of their
// requests fails or waits for long, and how much memory the server took.
func (g *goodClients) mustWithstand(t *testing.T, longer time.Duration, attack func()) {
	t.Helper()
	m := g.measure(t, longer, attack)
	peak := g.p.mustMemory(t, "VmHWM")
	t.Logf("%s; peak %d MiB, %d connections left", m, peak>>10, g.p.connections(t))
	if m.failed > 0 {
		t.Errorf("%d requests of good clients failed, the first with %v", m.failed, g.err.Load())
	}
	if m.slowest > hostileWait() {
		t.Errorf("a new client waited for %s", m.slowest)
	}
	if peak > hostileMemory {
		t.Errorf("the server took %d MiB", peak>>10)
	}
}
