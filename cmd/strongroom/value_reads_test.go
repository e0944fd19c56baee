package main_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowFlush is the time that each flush to disk takes in this test.
const slowFlush = 2 * time.Second

// With audit.value_reads: written, a value read waits for no flush, not even for that of a
// change at the same time. Counted reads and changes do.
func TestValueReadsDoNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "stores:", "audit: {value_reads: written}\nstores:")
	fast := mustServe(t, i)
	for _, name := range []string{"a", "b"} {
		fast.want(t, 200, "POST", app, i.pskHeader(), fmt.Sprintf(`{"secret_name":%q,"data":[{"key":"k","value":"v"}]}`, name))
	}
	counted := i.mustIssue(t, "agent-key", "create", theApp, "a", "--reads", "2")
	fast.mustStop(t)

	tr := mustTrace(t, i.path("data/strongroom.db"), []string{"-e", fmt.Sprintf("inject=fdatasync:delay_exit=%d", slowFlush.Microseconds())},
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	p := tr.process
	takes := func(method, path, header, body string) time.Duration {
		began := time.Now()
		p.want(t, 200, method, path, header, body)
		return time.Since(began)
	}
	takes("GET", app+"/a/reveal", i.pskHeader(), "") // also says that the file needs its journal
	var all sync.WaitGroup
	all.Go(func() {
		if took := takes("PUT", app+"/b", i.pskHeader(), `{"data":[{"key":"k","value":"w"}]}`); took < slowFlush {
			t.Errorf("a change takes %v, less than a flush", took)
		}
	})
	var reads []time.Duration
	for range 10 {
		reads = append(reads, takes("GET", app+"/a/reveal", i.pskHeader(), ""))
	}
	if took := median(reads); took > slowFlush/2 { // of one alone, a busy machine may be the cause
		t.Errorf("a value read takes %v, where a flush takes %v", took, slowFlush)
	}
	all.Wait()
	if took := takes("GET", app+"/a/reveal", "Authorization-PSK: "+counted, ""); took < slowFlush {
		t.Errorf("a counted value read takes %v, less than a flush", took)
	}
	p.mustKill(t)
	if reads := strings.Count(i.mustAdminister(t, "audit", "export"), `"action":"reveal"`); reads != 12 {
		t.Errorf("the audit log has %d value reads after kill -9, want 12", reads)
	}
}
