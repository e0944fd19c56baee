package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.yaml.in/yaml/v4"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

const (
	operationsEnv     = "STRONGROOM_LINEAR" // number of operations; make linear uses more
	defaultOperations = 3000

	tenantApps, tenantUsers = 8, 4
	playersOfATenant        = 4
	// Minimum number of operations between two kills.
	minPhases, maxPhase = 6, 1000
	// Long enough for operations that take seconds.
	checking = 5 * time.Minute
)

// For any concurrent requests, and with kills at any time, the history must be
// linearizable: each operation appears to happen at one moment between its request and
// its reply.
func TestOperationsAreLinearizableAcrossKill9(t *testing.T) {
	t.Parallel()
	operations := mustCount(t, operationsEnv, defaultOperations)
	seed := uint64(time.Now().UnixNano())
	i := mustInit(t)
	tenants := append(apps(i), mustAddUsers(t, i)...)
	players, auditors := gather(tenants, seed)
	serve := func() *process {
		return mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	}
	p, kills := serve(), 0
	for left, phase := operations, min(maxPhase, operations/minPhases); left > 0; left -= phase {
		playUntilKilled(t, newMatch(p, max(1, min(phase, left))), players)
		kills++
		p = serve()
		inParallel(auditors, func(c *player) { c.lookAround(t, p) })
		if t.Failed() {
			t.Fatalf("that was after kill %d of seed %d", kills, seed)
		}
	}
	count := countOf(tenants)
	began := time.Now()
	for _, n := range tenants {
		if !linearizable(t, n, seed) {
			return
		}
	}
	t.Logf("%d operations of %d clients on %d owners, through %d kills: %d answered, %d cut off; no violation found in %s",
		count.answered+count.lost, len(players), len(tenants), kills, count.answered, count.lost, time.Since(began).Round(time.Millisecond))
	if count.answered < operations {
		t.Errorf("%d operations, want %d", count.answered, operations)
	}
	checkThatDamageIsDetected(t, tenants)
}

func linearizable(t *testing.T, n *tenant, seed uint64) bool {
	t.Helper()
	result := porcupine.CheckOperationsTimeout(linear, n.history, checking)
	if result == porcupine.Ok {
		return true
	}
	t.Errorf("%s: the history of seed %d is %s", n.name, seed, result)
	if result == porcupine.Illegal {
		_, info := porcupine.CheckOperationsVerbose(linear, n.history, checking)
		path := filepath.Join(os.TempDir(), "strongroom-linear.html")
		t.Logf("see %s: %v", path, porcupine.VisualizePath(linear, info, path))
	}
	return false
}

func mustCount(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number", variable, text)
	}
	return n
}

func apps(i install) (tenants []*tenant) {
	for n := range tenantApps {
		id := fmt.Sprintf("0f8fad5b-d9cb-469f-a165-70867728950%d", n)
		tenants = append(tenants, &tenant{name: "app/" + id, path: "/api/app/" + id + "/secrets", header: i.pskHeader(), isApp: true})
	}
	return tenants
}

// mustAddUsers adds users that share no owner with other tests.
func mustAddUsers(t *testing.T, i install) (tenants []*tenant) {
	t.Helper()
	var keys apikey.Keys
	for n := range tenantUsers {
		key, id := apikey.Generate()
		user := fmt.Sprintf("user/u%d", n)
		keys.Keys = append(keys.Keys, apikey.Key{
			ID: id, SHA256: apikey.HashOf(key), Subject: user, User: filepath.Base(user),
			Grants: []grant.Line{{Actions: secret.Actions(), Owner: user}},
		})
		tenants = append(tenants, &tenant{name: user, path: "/api/secrets", header: "X-Session-API-Key: " + key})
	}
	file, err := yaml.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, i.path("keys/session-keys.yaml"), string(file))
	return tenants
}

// gather returns the players of all tenants, and one auditor per tenant that
// reads while the players pause.
func gather(tenants []*tenant, seed uint64) (players, auditors []*player) {
	shared := clock()
	for _, n := range tenants {
		for range playersOfATenant + 1 {
			number := len(players) + len(auditors)
			c := &player{
				tenant: n, number: number, clock: shared,
				random: rand.New(rand.NewPCG(seed, uint64(number))), revisions: map[string]string{},
			}
			if number%(playersOfATenant+1) == 0 {
				auditors = append(auditors, c)
			} else {
				players = append(players, c)
			}
		}
	}
	return players, auditors
}

func inParallel(players []*player, do func(*player)) {
	var all sync.WaitGroup
	for _, c := range players {
		all.Go(func() { do(c) })
	}
	all.Wait()
}

// playUntilKilled kills the server while all players continue.
func playUntilKilled(t *testing.T, m *match, players []*player) {
	t.Helper()
	var playing sync.WaitGroup
	playing.Go(func() { inParallel(players, func(c *player) { c.play(t, m) }) })
	allGone := make(chan struct{})
	go func() {
		playing.Wait()
		close(allGone)
	}()
	select {
	case <-m.enough:
	case <-allGone: // a player failed
	}
	m.over.Store(true)
	m.process.mustKill(t)
	playing.Wait()
	for _, c := range players {
		c.handOver()
	}
}

type counts struct{ answered, lost int }

func countOf(tenants []*tenant) (sum counts) {
	for _, n := range tenants {
		for _, op := range n.history {
			if op.Output.(reply).outcome == lost {
				sum.lost++
			} else {
				sum.answered++
			}
		}
	}
	return sum
}
