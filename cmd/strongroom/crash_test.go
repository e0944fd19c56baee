package main_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crashesEnv     = "STRONGROOM_CRASHES" // how many; make crash asks for more
	defaultCrashes = 5
	crashClients   = 16
)

// One data directory lives through all the crashes. Clients write without a
// pause, the server is killed at some moment, and the next one must know
// everything that was acknowledged, nothing that was not asked for, and of
// what was under way all or nothing.
func TestEveryAcknowledgedWriteOutlivesKill9(t *testing.T) {
	crashes := mustCountCrashes(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	i := mustInit(t)
	clients := make([]*client, crashClients)
	for n := range clients {
		clients[n] = newClient(n, i, rand.New(rand.NewPCG(seed, uint64(n+1))))
	}
	serve := func() *process {
		return mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	}
	p := serve()
	for round := 1; round <= crashes; round++ {
		crashUnderLoad(t, p, clients, 20*time.Millisecond+time.Duration(random.Int64N(int64(380*time.Millisecond))))
		p = serve()
		p.want(t, 200, "GET", "/readyz", "", "")
		compareAll(t, p, clients)
		if t.Failed() {
			t.Fatalf("that was after crash %d of seed %d", round, seed)
		}
	}
	var sum tally
	for _, c := range clients {
		sum.add(c.tally)
	}
	t.Logf("%d crashes: %d acknowledged writes are there (%d secrets compared, %d of them revealed); "+
		"of %d writes under way %d had happened and %d had not",
		crashes, sum.acknowledged, sum.compared, sum.revealed, sum.happened+sum.not, sum.happened, sum.not)
	if sum.acknowledged == 0 || sum.compared == 0 {
		t.Error("nothing was put to the test")
	}
}

func mustCountCrashes(t *testing.T) int {
	t.Helper()
	text := os.Getenv(crashesEnv)
	if text == "" {
		return defaultCrashes
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number", crashesEnv, text)
	}
	return n
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
}

// compareAll asks the server for all it has and shares it out to the clients
// that it belongs to.
func compareAll(t *testing.T, p *process, clients []*client) {
	t.Helper()
	seen := listAll(t, p, clients[0].install)
	mine := make([]map[string]string, len(clients))
	for n := range clients {
		mine[n] = map[string]string{}
	}
	for name, content := range seen {
		n, ok := ownerOf(name)
		if !ok || n >= len(clients) {
			t.Errorf("there is a %s that nobody ever created", name)
			continue
		}
		mine[n][name] = content
	}
	var comparing sync.WaitGroup
	for n, c := range clients {
		comparing.Go(func() { c.compare(t, p, mine[n]) })
	}
	comparing.Wait()
}

// listAll returns what both APIs list: descriptions, and keys with masks.
func listAll(t *testing.T, p *process, i install) map[string]string {
	t.Helper()
	var custom struct {
		Secrets []struct{ Name, Description string } `json:"custom_secrets"`
	}
	mustDecode(t, p.want(t, 200, "GET", "/api/secrets", i.sessionHeader(), "").body, &custom)
	var details []nx1Detail
	mustDecode(t, p.want(t, 200, "GET", app, i.pskHeader(), "").body, &details)
	seen := map[string]string{}
	for _, s := range custom.Secrets {
		seen["openhands/"+s.Name] = s.Description
	}
	for _, s := range details {
		seen["nx1/"+s.Name] = s.content()
	}
	if len(seen) != len(custom.Secrets)+len(details) {
		t.Error("a name is listed twice")
	}
	return seen
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
type tally struct{ acknowledged, compared, revealed, happened, not int }

func (s *tally) add(other tally) {
	s.acknowledged += other.acknowledged
	s.compared += other.compared
	s.revealed += other.revealed
	s.happened += other.happened
	s.not += other.not
}

// same reports whether the secrets are these; what is listed of them is not
// more than their masks.
func same(want, listed map[string]string) bool {
	return maps.EqualFunc(want, listed, func(content, listed string) bool { return maskOf(content) == listed })
}
