package main_test

import (
	"os"
	"testing"
	"time"
)

const (
	hostileEnv     = "STRONGROOM_HOSTILE" // number of connections; make hostile uses more
	defaultHostile = 220
	// hostileMemory is the memory limit for the server under attack, in KiB.
	hostileMemory = 256 << 10
)

// hostileSize returns the number of connections of an attack.
func hostileSize(t *testing.T) int { return mustCount(t, hostileEnv, defaultHostile) }

// besideOthers lets the test run in parallel with others, unless the variable gives it its full
// size, at which it measures times. Attacks that keep the CPU busy run alone.
func besideOthers(t *testing.T, variable string) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Parallel()
	}
}

// hostileWait is the longest acceptable wait of a new client. The default run
// gets more time, since other tests run at the same time.
func hostileWait() time.Duration {
	if os.Getenv(hostileEnv) != "" {
		return time.Second
	}
	return 20 * time.Second
}

// mayFail returns the number of requests that may fail. If other tests leave it no CPU time, a new
// connection looks stalled; at full size, none may fail.
func mayFail(variable string, requests int) int {
	if os.Getenv(variable) != "" {
		return 0
	}
	return requests / 100
}

// mustWithstand runs an attack while goodClients send requests over open and
// new connections, and continues them for the given time. It checks that no
// request fails or waits too long, and the memory of the server.
func (g *goodClients) mustWithstand(t *testing.T, longer time.Duration, attack func()) {
	t.Helper()
	m := g.measure(t, longer, attack)
	peak := g.p.mustMemory(t, "VmHWM")
	t.Logf("%s; peak %d MiB, %d connections left", m, peak>>10, g.p.connections(t))
	if m.failed > mayFail(hostileEnv, m.requests) {
		t.Errorf("%d requests of good clients failed, the first with %v", m.failed, g.err.Load())
	}
	if m.slowest > hostileWait() {
		t.Errorf("a new client waited for %s", m.slowest)
	}
	if peak > hostileMemory {
		t.Errorf("the server took %d MiB", peak>>10)
	}
}
