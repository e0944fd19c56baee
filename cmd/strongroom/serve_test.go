package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServeListensOnAFreePortAndLogsIt(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	host, port, err := net.SplitHostPort(p.address)
	if err != nil || host != "127.0.0.1" || port == "0" || port == "3000" {
		t.Errorf("the server listens on %s", p.address)
	}
	p.want(t, 200, "GET", "/healthz", "", "")
	if log := p.mustStop(t); !strings.Contains(log, "version=v0-test") {
		t.Errorf("the log lacks the version:\n%s", log)
	}
}

func TestServeListensOnTheConfiguredAddress(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "127.0.0.1:3000", "'[::1]:0'")
	if !canListen("[::1]:0") {
		t.Skip("there is no IPv6 here")
	}
	p := mustStart(t, program, "serve", "--config", i.config())
	if !strings.HasPrefix(p.address, "[::1]:") {
		t.Errorf("the server listens on %s, want [::1]", p.address)
	}
}

func canListen(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}

func TestStoredSecretsSurviveARestart(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"user","value":"kim"}]}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"x","description":"d"}`)
	p.mustStop(t)
	p = mustServe(t, i)
	got := p.want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "")
	if !strings.Contains(got.body, `"data":[{"key":"user","value":"kim"}]`) {
		t.Errorf("revealed %s", got.body)
	}
	got = p.want(t, 200, "GET", "/api/secrets", i.sessionHeader(), "")
	if want := `{"custom_secrets":[{"name":"TOKEN","description":"d"}]}`; got.body != want {
		t.Errorf("listed %s, want %s", got.body, want)
	}
}

func TestServeChangesOnlyFilesInTheStateDirectory(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	before := mustSnapshot(t, i.dir)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[]}`)
	p.mustStop(t)
	after := mustSnapshot(t, i.dir)
	for _, beside := range []string{"data/strongroom.db.holder", "data/strongroom.db.journal0", "data/strongroom.db.journal1"} {
		if mode, _, _ := strings.Cut(after[beside], " "); mode != "-rw-------" {
			t.Errorf("%s has mode %s", beside, mode)
		}
		after[beside] = before[beside]
	}
	after["data/strongroom.db"] = before["data/strongroom.db"]
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

func TestServerIsReadyFromItsFirstLogLineToItsLast(t *testing.T) {
	t.Parallel()
	p := mustServe(t, mustInit(t))
	if a := p.want(t, 200, "GET", "/readyz", "", ""); a.body != "ready\n" {
		t.Errorf("GET /readyz = %q", a.body)
	}
	p.mustStop(t)
	if a, err := p.try(t, "GET", "/readyz", "", ""); err == nil {
		t.Errorf("GET /readyz after the server exited: status %d", a.status)
	}
}

// A slowRequest is in progress: the server has its headers and waits for the
// body.
type slowRequest struct {
	conn net.Conn
	r    *bufio.Reader
	rest string
}

func mustBegin(t *testing.T, p *process, i install) *slowRequest {
	t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	body := `{"secret_name":"slow","data":[{"key":"k","value":"arrived late"}]}`
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", app, p.address, i.pskHeader(), len(body))
	if err != nil {
		t.Fatal(err)
	}
	// The server sends 100 Continue only when the handler reads the body.
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	_, _ = r.ReadString('\n')
	if _, err := io.WriteString(conn, body[:20]); err != nil {
		t.Fatal(err)
	}
	return &slowRequest{conn, r, body[20:]}
}

func (s *slowRequest) mustFinish(t *testing.T) *http.Response {
	t.Helper()
	if _, err := io.WriteString(s.conn, s.rest); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp
}

var draining = regexp.MustCompile(`msg=draining timeout=(\S+)`)

func TestRequestInProgressIsAnsweredBeforeTheServerExits(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			i := mustInit(t)
			p := mustServe(t, i)
			slow := mustBegin(t, p, i)
			p.signal(sig)
			if got := p.mustSay(t, draining)[1]; got != "10s" {
				t.Errorf("the drain timeout is %s, want 10s from the config", got)
			}
			mustBeRefused(t, p.address)
			if resp := slow.mustFinish(t); resp.StatusCode != 200 || !resp.Close {
				t.Errorf("status %d, connection kept %v; want 200 and closed", resp.StatusCode, !resp.Close)
			}
			if code, log := p.mustEnd(t); code != 0 {
				t.Errorf("exit code %d, want 0:\n%s", code, log)
			}
			got := mustServe(t, i).want(t, 200, "GET", app+"/slow/reveal", i.pskHeader(), "")
			if !strings.Contains(got.body, "arrived late") {
				t.Errorf("revealed %s", got.body)
			}
		})
	}
}

// mustBeRefused tries to connect until the listener is closed, shortly after
// the server logs that it drains.
func mustBeRefused(t *testing.T, address string) {
	t.Helper()
	for t.Context().Err() == nil {
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestRequestThatOutlastsTheDrainIsCutOff(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "drain: 10s", "drain: 300ms")
	p := mustServe(t, i)
	slow := mustBegin(t, p, i)
	p.signal(syscall.SIGTERM)
	code, log := p.mustEnd(t)
	if code != 1 || !strings.Contains(log, "strongroom: draining: requests were still in progress after 300ms") {
		t.Errorf("exit code %d, want 1 with a reason:\n%s", code, log)
	}
	if rest, err := io.ReadAll(slow.r); len(rest) > 0 {
		t.Errorf("the client got %q, %v; want a closed connection", rest, err)
	}
	mustServe(t, i).want(t, 404, "GET", app+"/slow", i.pskHeader(), "")
}

func TestSecondProcessCannotOpenTheStateFile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
	r := run(t, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	wantRefusal(t, r, i.path("data/strongroom.db"), fmt.Sprintf("held by process %d on host ", p.cmd.Process.Pid))
	// The first server still works and has the same identity.
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"w"}]}`)
	p.want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "")
	p.want(t, 200, "GET", "/readyz", "", "")
	wantRefusal(t, run(t, "serve", "--config", i.config(), "--listen", "127.0.0.1:0"),
		fmt.Sprintf("held by process %d ", p.cmd.Process.Pid))
	// A kill releases the lock. The content of the file beside the state file does not
	// matter.
	p.mustKill(t)
	mustServe(t, i).want(t, 200, "GET", app+"/db", i.pskHeader(), "")
}

func TestPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	r := run(t, "serve", "--config", i.config(), "--listen", address)
	wantRefusal(t, r, "listening on "+address, "another process has this address", "listen.address")
	mustServe(t, i).want(t, 200, "GET", "/readyz", "", "")
}

func TestSealingKeyCanComeFromTheEnvironmentOrSystemd(t *testing.T) {
	for _, tc := range []struct{ name, key, variable string }{
		{"environment", "{env: STATE_KEY}", "STATE_KEY"},
		{"systemd", "{credential: state-key}", "CREDENTIALS_DIRECTORY"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := mustInit(t)
			key := mustRead(t, i.path("keys/state.key"))
			i.mustEdit(t, "strongroom.yaml", "{file: keys/state.key}", tc.key)
			if err := os.Remove(i.path("keys/state.key")); err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, run(t, "serve", "--config", i.config()), "state.key", tc.variable+" is not set")
			if tc.name == "systemd" {
				credentials := t.TempDir()
				mustWrite(t, credentials+"/state-key", key)
				key = credentials
			}
			t.Setenv(tc.variable, key)
			mustServe(t, i).want(t, 200, "GET", app, i.pskHeader(), "")
		})
	}
}
