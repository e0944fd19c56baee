package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const largestBody = 4 << 20

// A target is a server with well-behaved clients, ready to be attacked.
type target struct {
	install
	id   identity
	p    *process
	good *goodClients
}

func mustServeTarget(t *testing.T) target {
	t.Helper()
	v := target{install: mustInit(t), id: newIdentity(t)}
	v.id.mustWrite(t, v.install)
	v.mustEdit(t, "strongroom.yaml", "drain: 10s", "tls: {certificate: tls.crt, key: tls.key}\n  drain: 1s")
	v.p = mustStart(t, mustBuildFast(t), "serve", "--config", v.config(), "--listen", "127.0.0.1:0")
	v.good = newGoodClients(v.install, v.id, v.p)
	if err := v.good.ask(v.id.client(t, 0), "POST", app, `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`); err != nil {
		t.Fatal(err)
	}
	return v
}

// overHTTP1 makes the client open a connection for each request.
func overHTTP1(c *http.Client) *http.Client {
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	c.Transport.(*http.Transport).TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	return c
}

// A stalled body is sent without its last bytes until the attack is over.
type stalled struct {
	left    int
	reached func()
	over    <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.reached()
		<-s.over
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	copy(p[:n], strings.Repeat(" ", n))
	s.left -= n
	return n, nil
}

// answersByStatus counts the answers of each status.
type answersByStatus struct {
	sync.Mutex
	counts map[int]int
}

func (a *answersByStatus) add(status int) {
	a.Lock()
	defer a.Unlock()
	if a.counts == nil {
		a.counts = map[int]int{}
	}
	a.counts[status]++
}

// stall sends this many incomplete bodies over each client until the attack is
// over.
func (v target) stall(t *testing.T, clients []*http.Client, each int, key string) (answers *answersByStatus) {
	t.Helper()
	answers = &answersByStatus{}
	ctx, end := context.WithCancel(t.Context())
	var settled atomic.Int32
	var all sync.WaitGroup
	for _, client := range clients {
		for range each {
			all.Go(func() {
				settle := sync.OnceFunc(func() { settled.Add(1) })
				defer settle()
				body := &stalled{largestBody - 100, settle, ctx.Done()}
				r, _ := http.NewRequestWithContext(ctx, "PUT", "https://"+v.p.address+app+"/db", io.NopCloser(body))
				r.ContentLength = largestBody
				r.Header.Set("Authorization-PSK", key)
				r.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(r)
				if err != nil {
					return
				}
				answers.add(resp.StatusCode)
				_ = resp.Body.Close()
			})
		}
	}
	t.Cleanup(func() { end(); all.Wait() })
	for range 200 {
		if int(settled.Load()) == len(clients)*each {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return answers
}

func TestHostileStalledBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		actions     string
		connections int // HTTP/2 connections; 0 for one HTTP/1.1 connection per body
		bodies      int
		refused     int
	}{
		"of a read-only key":                    {"[list, reveal]", 0, 150, http.StatusForbidden},
		"of a writing key":                      {"[list, write]", 0, 150, http.StatusServiceUnavailable},
		"of a read-only key, three connections": {"[list, reveal]", 3, 300, http.StatusForbidden},
		"of a writing key, three connections":   {"[list, write]", 3, 300, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			v := mustServeTarget(t)
			key := v.mustIssue(t, "apikey", "create", "--subject", "attacker", "--grant", "{actions: "+tc.actions+", owner: "+theApp+"}")
			clients := []*http.Client{overHTTP1(v.id.client(t, 0))}
			if tc.connections > 0 {
				clients = nil
				for range tc.connections {
					clients = append(clients, v.id.client(t, 0))
				}
			}
			v.good.mustWithstand(t, time.Second, func() {
				answers := v.stall(t, clients, tc.bodies/len(clients), key)
				answers.Lock()
				defer answers.Unlock()
				t.Logf("answers while the bodies are stalled: %v", answers.counts)
				if answers.counts[tc.refused] == 0 {
					t.Errorf("no body was rejected with %d", tc.refused)
				}
			})
			v.p.mustKill(t) // its drain time is too short for so many requests in progress
		})
	}
}

// Many clients list the largest possible owner at the same time and do not read
// the answers. Writes in between prevent the lists from being shared.
func TestHostileLists(t *testing.T) {
	for name, description := range map[string]string{
		"of letters": strings.Repeat("d", 16<<10), "of control characters": strings.Repeat(`\u0001`, 16<<10),
	} {
		t.Run(name, func(t *testing.T) {
			v := mustServeTarget(t)
			client := v.id.client(t, 0)
			put := func(n int) int {
				body := fmt.Sprintf(`{"name":"S%d","value":"secret value","description":"%s"}`, n, description)
				return v.mustAsk(t, client, "PUT", "/api/settings/secrets", body)
			}
			var made, next atomic.Int32
			var refused atomic.Bool
			v.good.mustWithstand(t, time.Second, func() {
				atOnce(32, func(int) {
					for n := next.Add(1); n <= 10_000 && !refused.Load(); n = next.Add(1) {
						if status := put(int(n)); status == http.StatusOK {
							made.Add(1)
						} else {
							refused.Store(true)
						}
					}
				})()
				t.Logf("%d secrets were made", made.Load())
				v.listUnread(t, 100, func() { put(1) })
			})
		})
	}
}

// listUnread sends list requests over this many connections without reading the
// answers, and calls a function in between.
func (v target) listUnread(t *testing.T, times int, between func()) {
	t.Helper()
	client := overHTTP1(v.id.client(t, 0))
	answers := &answersByStatus{}
	var open sync.Map
	atOnce(8, func(worker int) {
		for n := range times / 8 {
			path := []string{"/api/settings/secrets", "/api/secrets"}[n%2]
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+v.p.address+path, nil)
			r.Header.Set("X-Session-API-Key", v.sessionKey)
			if resp, err := client.Do(r); err == nil {
				answers.add(resp.StatusCode)
				open.Store(resp, nil)
			}
			if worker == 0 {
				between()
			}
		}
	})()
	time.Sleep(time.Second)
	whole := 0
	open.Range(func(resp, _ any) bool {
		body := resp.(*http.Response).Body
		if n, err := io.Copy(io.Discard, body); err == nil && n > 1<<20 {
			whole++
		}
		_ = body.Close()
		return true
	})
	t.Logf("lists: %v, %d of them read whole", answers.counts, whole)
	if answers.counts[http.StatusOK] == 0 {
		t.Error("no list was answered")
	}
}

func (v target) mustAsk(t *testing.T, client *http.Client, method, path, body string) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+v.p.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	header, key := "X-Session-API-Key", v.sessionKey
	if strings.HasPrefix(path, app) {
		header, key = "Authorization-PSK", v.psk
	}
	r.Header.Set(header, key)
	resp, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Too many data keys are rejected before they are validated, so such a body
// costs no more than one large value of the same size.
func TestHostileKeysCostNoMoreThanParsing(t *testing.T) {
	v := mustServeTarget(t)
	client := v.id.client(t, 0)
	var keys strings.Builder
	for n := range 150_000 {
		fmt.Fprintf(&keys, `,{"key":"%s","value":""}`, strconv.FormatInt(36*36*36+int64(n), 36)) // four characters
	}
	many := `{"data":[` + keys.String()[1:] + `]}`
	one := `{"data":[{"key":"k","value":"` + strings.Repeat("v", len(many)-32) + `"}]}`
	cost := func(body string) time.Duration {
		before := v.p.mustCPU(t)
		for range 20 {
			if status := v.mustAsk(t, client, "PUT", app+"/db", body); status != http.StatusBadRequest {
				t.Fatalf("%d, want 400", status)
			}
		}
		return (v.p.mustCPU(t) - before) / 20
	}
	cost(one)
	ofOne, ofMany := cost(one), cost(many)
	t.Logf("CPU for %d bytes: 150,000 keys %s, one value %s", len(many), ofMany, ofOne)
	if ofMany > 2*ofOne {
		t.Errorf("150,000 keys take %.1f times as much as one value", float64(ofMany)/float64(ofOne))
	}
}

// mustCPU returns the CPU time that the process has used (proc(5)).
func (p *process) mustCPU(t *testing.T) time.Duration {
	t.Helper()
	_, rest, _ := strings.Cut(mustRead(t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)), ") ")
	fields := strings.Fields(rest)
	user, userErr := strconv.Atoi(fields[11])
	system, systemErr := strconv.Atoi(fields[12])
	if userErr != nil || systemErr != nil {
		t.Fatal(userErr, systemErr)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
