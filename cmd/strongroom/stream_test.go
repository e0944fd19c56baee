package main_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// A collector receives audit entries over HTTPS. It keeps its address while it is away.
type collector struct {
	address string
	id      identity

	mu   sync.Mutex // guards the fields below
	got  []int      // numbers of entries as they came, repetitions included
	hang chan struct{}
	here *httptest.Server
}

const streamToken = "t0ken-of-the-collector"

func mustCollect(t *testing.T, i install) *collector {
	t.Helper()
	c := &collector{address: mustFindAddress(t), id: newIdentity(t)}
	mustWrite(t, i.path("collector.pem"), c.id.certificate)
	mustWrite(t, i.path("token"), streamToken+"\n")
	i.mustEdit(t, "strongroom.yaml", "\nlisten:\n",
		"\naudit: {stream: {http: {url: https://"+c.address+"/audit, ca_file: collector.pem, token_file: token}}}\nlisten:\n")
	t.Cleanup(c.leave)
	return c
}

// mustCome starts the collector at its address.
func (c *collector) mustCome(t *testing.T) {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(c.id.certificate), []byte(c.id.key))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.take(t, w, r) }))
	_ = s.Listener.Close()
	s.Listener, s.TLS = l, &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.here = s
}

// leave cuts all connections.
func (c *collector) leave() {
	c.stall(false)
	c.mu.Lock()
	s := c.here
	c.here = nil
	c.mu.Unlock()
	if s != nil {
		s.CloseClientConnections()
		s.Close()
	}
}

// stall makes the collector accept requests without answering them, or answer again.
func (c *collector) stall(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hang != nil {
		close(c.hang)
		c.hang = nil
	}
	if on {
		c.hang = make(chan struct{})
	}
}

func (c *collector) take(t *testing.T, w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+streamToken {
		t.Errorf("the collector got the credential %q", got)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server was killed
	}
	c.mu.Lock()
	hang := c.hang
	c.mu.Unlock()
	if hang != nil {
		<-hang
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(string(body)) {
		var e struct{ Seq int }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		c.got = append(c.got, e.Seq)
	}
}

// wantAll checks that each entry up to the last has arrived, and that without repetitions
// they are in order.
func (c *collector) wantAll(t *testing.T, last int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	next := 1
	for _, seq := range c.got {
		if seq > next {
			t.Fatalf("entry %d came before entry %d", seq, next)
		}
		if seq == next {
			next++
		}
	}
	if next <= last {
		t.Errorf("entry %d of %d has not come", next, last)
	}
	t.Logf("%d entries, %d sent again", last, len(c.got)-next+1)
}

func (c *collector) received() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) == 0 {
		return 0
	}
	return slices.Max(c.got)
}

// mustStatus returns the status of the stream.
func (i install) mustStatus(t *testing.T) gen.AuditStream {
	t.Helper()
	var s gen.Status
	mustDecode(t, i.mustAdminister(t, "status", "-o", "json"), &s)
	if s.AuditStream == nil {
		t.Fatal("the status has no stream")
	}
	return *s.AuditStream
}

// lastEntry returns the number of the last audit entry.
func (i install) lastEntry(t *testing.T) int {
	t.Helper()
	var e struct{ Seq int }
	mustDecode(t, i.mustAdminister(t, "audit", "tail", "-n", "1"), &e)
	return e.Seq
}

func mustWriteSecrets(t *testing.T, p *process, i install, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		p.want(t, 200, "POST", app, i.pskHeader(), fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"v"}]}`, n))
	}
}

// The collector is away, the server is killed meanwhile, and both come back.
func TestEveryAuditEntryArrivesOnceCollectorAndServerAreBack(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	c := mustCollect(t, i)
	c.mustCome(t)
	p, metrics := mustServeMetrics(t, i)
	mustWriteSecrets(t, p, i, 0, 20)
	mustHappen(t, "the first entries arrive", func(int) bool { return c.received() >= 20 }, func() string { return strconv.Itoa(c.received()) })
	c.leave()
	mustWriteSecrets(t, p, i, 20, 40)
	mustHappen(t, "the lag shows", func(int) bool {
		lines := mustScrape(t, metrics)
		return sampleOf(t, lines, "strongroom_audit_stream_up") == 0 && sampleOf(t, lines, "strongroom_audit_stream_waiting") >= 20 &&
			sampleOf(t, lines, "strongroom_audit_stream_lag_seconds") > 0
	}, func() string { return "" })
	if s := i.mustStatus(t); s.Waiting < 20 || s.Problem == "" || s.Oldest == nil {
		t.Errorf("the status is %+v", s)
	}
	if out := i.mustAdminister(t, "status"); !strings.Contains(out, "warning: audit stream: ") {
		t.Errorf("no warning in the status:\n%s", out)
	}
	p.mustKill(t)
	p = mustServe(t, i)
	mustWriteSecrets(t, p, i, 40, 60)
	c.mustCome(t)
	mustHappen(t, "all entries arrive", func(int) bool { return i.mustStatus(t).Waiting == 0 }, func() string { return strconv.Itoa(c.received()) })
	last := i.lastEntry(t)
	log := p.mustStop(t) // its last entries, too
	c.wantAll(t, last)
	if !strings.Contains(log, `msg="audit entries are streamed again"`) || strings.Contains(log, streamToken) {
		t.Errorf("the log is\n%s", log)
	}
	if out := i.mustAdminister(t, "audit", "verify"); !strings.Contains(out, "the chain is intact") {
		t.Error(out)
	}
}

// While the collector does not answer, requests are as fast as before: at least half as
// many in the same time. The two alternate, so that other work on the machine affects both.
func TestStalledCollectorSlowsNoRequest(t *testing.T) {
	i := mustInit(t)
	c := mustCollect(t, i)
	c.mustCome(t)
	p := mustServe(t, i)
	mustWriteSecrets(t, p, i, 0, 1)
	count := func(stalled bool) (n int64) {
		c.stall(stalled)
		var done atomic.Int64
		end := time.Now().Add(time.Second)
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for time.Now().Before(end) {
					p.want(t, 200, "GET", app+"/s0/reveal", i.pskHeader(), "")
					done.Add(1)
				}
			})
		}
		clients.Wait()
		return done.Load()
	}
	var answered, stalled int64
	for range 6 {
		answered += count(false)
		stalled += count(true)
	}
	c.stall(false)
	t.Logf("%d value reads while the collector answers, %d while it does not", answered, stalled)
	if stalled < answered/2 {
		t.Errorf("only %d value reads while the collector does not answer, and %d while it does", stalled, answered)
	}
	mustHappen(t, "all entries arrive", func(int) bool { return i.mustStatus(t).Waiting == 0 }, func() string { return strconv.Itoa(c.received()) })
	c.wantAll(t, i.lastEntry(t))
}

func TestMistakesOfTheStreamStopTheStart(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustCollect(t, i)
	mustWrite(t, i.path("collector.pem"), "nothing")
	for _, command := range []string{"serve", "config check"} {
		wantRefusal(t, run(t, append(strings.Fields(command), "--config", i.config())...), "audit.stream.http.ca_file: has no certificate in PEM")
	}
}
