package main_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// missingFlood requests missing secrets as fast as it can, and returns the
// number of answered requests.
func missingFlood(t *testing.T, p *process, key string, lasting time.Duration, paths ...string) int {
	t.Helper()
	var asked atomic.Int64
	end := time.Now().Add(lasting)
	atOnce(16, func(int) {
		for time.Now().Before(end) {
			n := asked.Add(1)
			for _, path := range paths {
				if a, err := p.try(t, "GET", fmt.Sprintf(app+path, n), "Authorization-PSK: "+key, ""); err != nil || a.status != 404 && a.status != 429 {
					t.Errorf("%d, %v", a.status, err)
					return
				}
			}
		}
	})()
	return len(paths) * int(asked.Load())
}

// Requests for missing secrets are counted together, and rate limited like
// denials.
func TestHostileNotFoundWritesLittle(t *testing.T) {
	besideOthers(t, hostileEnv)
	i := mustInit(t)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	lister := i.mustIssue(t, "apikey", "create", "--subject", "lister", "--grant", "{actions: [list], owner: "+theApp+"}")
	asked := missingFlood(t, p, lister, 5*time.Second, "/none%d")
	time.Sleep(time.Second) // until the audit log has the entries
	entries := strings.Count(i.mustAdminister(t, "audit", "export"), `"lister"`)
	t.Logf("%d requests for what is missing wrote %d entries", asked, entries)
	// Two flushes a second, each for any number of requests, and one for each
	// 512 names.
	if most := 2*7 + 11_000/512 + 1; entries > most || entries == 0 {
		t.Errorf("%d entries, want 1 to %d", entries, most)
	}
}

// On a full disk, a flood of requests for missing secrets must not use up the
// reserve.
func TestHostileNotFoundLeavesTheReserve(t *testing.T) {
	besideOthers(t, hostileEnv)
	i := mustInitOnASmallDisk(t)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"kept"}]}`)
	attacker := i.mustIssue(t, "apikey", "create", "--subject", "attacker", "--grant", "{actions: [list, reveal], owner: "+theApp+"}")
	mustFillUp(t, i.path("data/ballast"))
	full := func(n int) bool {
		body := fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"%s"}]}`, n, strings.Repeat("v", 4000))
		return p.mustDo(t, "POST", app, i.pskHeader(), body).status == 507
	}
	for n := 0; !full(n); n++ {
		if n > 10_000 {
			t.Fatal("the disk does not become full")
		}
	}
	asked := missingFlood(t, p, attacker, 5*time.Second, "/none%d", "/none%d/reveal")
	log, _ := p.said()
	t.Logf("%d requests for what is missing wrote %d lines to the log", asked, strings.Count(log, "\n"))
	if lines := strings.Count(log, "request failed"); lines > 60 {
		t.Errorf("the log has %d lines of failed requests", lines)
	}
	for range 20 { // the reserve is there
		p.want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "")
	}
	i.mustAdminister(t, "apikey", "revoke", "--yes", idIn(attacker))
	p.client.CloseIdleConnections()
	p.mustKill(t) // the last counts could not be written
}
