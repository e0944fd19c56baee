package main_test

import (
	"fmt"
	"strings"
	"testing"
)

const (
	changesCounted = 40
	// The journal is synced once for each change.
	syncsOfACommit = 1
)

// A change, its audit entry and its history are one commit: between two answers the file
// is synced only for that one commit, even after many changes.
func TestChangeCostsOneCommit(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "journal_bytes: 262144", "journal_bytes: 4194304") // no checkpoint meanwhile
	tr := mustTrace(t, i.path("data/strongroom.db"), nil,
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	kinds := changesOneByOne(t, tr, i)
	tr.process.mustStop(t)
	calls, err := readTrace(tr.log)
	if err != nil {
		t.Fatal(err)
	}
	counts := syncsBefore(calls, tr)
	if len(counts) != len(tr.changes) {
		t.Fatalf("%d answers are in the trace, want %d", len(counts), len(tr.changes))
	}
	puts, syncs := 0, 0
	for n, kind := range kinds {
		if counts[n] != syncsOfACommit && n > 0 { // the first change also counts the syncs of the start
			t.Errorf("change %d, %s: %d syncs, want %d", n, kind, counts[n], syncsOfACommit)
		}
		if kind == "PUT" {
			puts, syncs = puts+1, syncs+counts[n]
		}
	}
	t.Logf("%d acknowledged PUTs: %d syncs, so %.2f commits each, audit and history included", puts, syncs, float64(syncs)/float64(puts*syncsOfACommit))
}

// changesOneByOne makes more changes to a secret than the history keeps, and
// one change of every other kind.
func changesOneByOne(t *testing.T, tr *trace, i install) (kinds []string) {
	t.Helper()
	acknowledged := func(kind string, a answer) answer {
		kinds, tr.changes = append(kinds, kind), append(tr.changes, a.header.Get("X-Request-Id"))
		return a
	}
	p, o := tr.process, i.adminSocket()
	ref := secretRef(theApp, "a")
	acknowledged("POST", p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[]}`))
	var revision string
	for n := range changesCounted {
		body := fmt.Sprintf(`{"data":[{"key":"k","value":"%d%s"}]}`, n, strings.Repeat("x", n*200))
		a := acknowledged("PUT", p.want(t, 200, "PUT", app+"/a", i.pskHeader(), body))
		if n == changesCounted-3 {
			revision = strings.Trim(a.header.Get("ETag"), `"`)
		}
	}
	acknowledged("reveal", p.want(t, 200, "GET", app+"/a/reveal", i.pskHeader(), ""))
	acknowledged("restore", o.want(t, 200, "/secret/restore", strings.TrimSuffix(ref, "}")+fmt.Sprintf(`,"revision":%q}`, revision)))
	acknowledged("DELETE", p.want(t, 200, "DELETE", app+"/a", i.pskHeader(), ""))
	acknowledged("undelete", o.want(t, 200, "/secret/undelete", ref))
	acknowledged("POST", p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"A","value":"v"}`))
	acknowledged("PUT", p.want(t, 200, "PUT", "/api/secrets/A", i.sessionHeader(), `{"name":"B"}`))
	return kinds
}

// syncsBefore returns, for each answer, the number of syncs since the answer
// before it.
func syncsBefore(calls []call, tr *trace) (counts []int) {
	syncs := 0
	for _, c := range calls {
		switch {
		case len(counts) == len(tr.changes):
			return counts
		case strings.HasPrefix(c.args, "<"+tr.state) && strings.HasSuffix(c.name, "sync") && c.result == "0":
			syncs++
		case c.begins && strings.Contains(c.args, "X-Request-Id: "+tr.changes[len(counts)]):
			counts, syncs = append(counts, syncs), 0
		}
	}
	return counts
}
