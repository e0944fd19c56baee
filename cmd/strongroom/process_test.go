package main_test

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a running server.
type process struct {
	cmd     *exec.Cmd
	address string
	scheme  string // empty: http
	client  *http.Client

	mu     sync.Mutex // guards the fields below
	log    strings.Builder
	more   chan struct{} // closed and replaced when log grows
	exited chan struct{} // closed when the process has exited and log is complete
}

// mustServe starts the server on a free port, and stops it when the test ends.
func mustServe(t *testing.T, i install) *process {
	t.Helper()
	return mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
}

var listening = regexp.MustCompile(`msg"?[=:]"?listening"?[ ,]"?address"?[=:]"?([^\s",]+)`)

// mustStart starts a command that serves and logs its address.
func mustStart(t *testing.T, command ...string) *process {
	t.Helper()
	// Not CommandContext with t.Context(), whose end would kill the server before it is stopped.
	return mustStartCmd(t, exec.Command(command[0], command[1:]...))
}

func mustStartCmd(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{
		cmd:  cmd,
		more: make(chan struct{}), exited: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stderr)
	t.Cleanup(func() { p.cleanUp(t) })
	p.address = p.mustSay(t, listening)[1]
	return p
}

func (p *process) follow(stderr io.Reader) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		p.mu.Lock()
		p.log.WriteString(line)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait()
	close(p.exited)
}

func (p *process) said() (text string, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String(), p.more
}

// mustSay waits until the log matches the pattern and returns the submatches.
func (p *process) mustSay(t *testing.T, pattern *regexp.Regexp) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		text, more := p.said()
		if found := pattern.FindStringSubmatch(text); found != nil {
			return found
		}
		select {
		case <-more:
		case <-p.exited:
			text, _ = p.said()
			t.Fatalf("the server exited (%v) without logging %v:\n%s", p.cmd.ProcessState, pattern, text)
		case <-ctx.Done():
			t.Fatalf("the log lacks %v:\n%s", pattern, text)
		}
	}
}

func (p *process) signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// mustEnd waits for the process to exit and returns its exit code and log.
func (p *process) mustEnd(t *testing.T) (code int, log string) {
	t.Helper()
	// Not t.Context(), which is done when the test's cleanup stops its servers.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.signal(syscall.SIGQUIT) // prints the stacks of its goroutines
		<-p.exited
		t.Error("the server does not exit")
	}
	log, _ = p.said()
	return p.cmd.ProcessState.ExitCode(), log
}

// mustStop asks the server to stop, which must succeed.
func (p *process) mustStop(t *testing.T) (log string) {
	t.Helper()
	p.client.CloseIdleConnections()
	p.signal(syscall.SIGTERM)
	code, log := p.mustEnd(t)
	if code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, log)
	}
	return log
}

func (p *process) mustKill(t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGKILL)
	p.mustEnd(t)
	p.client.CloseIdleConnections()
}

func (p *process) cleanUp(t *testing.T) {
	select {
	case <-p.exited:
	default:
		p.mustStop(t)
	}
	if log, _ := p.said(); strings.Contains(log, "DATA RACE") {
		t.Errorf("the race detector found something:\n%s", log)
	}
}

// wantWithin checks that an operation takes at most this long. A busy machine can delay some
// attempts, so one of five has to be in time.
func wantWithin(t *testing.T, limit time.Duration, what string, attempt func() time.Duration) {
	t.Helper()
	var times []time.Duration
	for range 5 {
		times = append(times, attempt())
		if slices.Min(times) <= limit {
			return
		}
	}
	t.Errorf("%s: %v, want at most %v", what, times, limit)
}

// An answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// try sends a request with one header, written as "Name: value".
func (p *process) try(t *testing.T, method, path, header, body string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, cmp.Or(p.scheme, "http")+"://"+p.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body) // the status alone is an acknowledgement
	return answer{resp.StatusCode, resp.Header, string(text)}, nil
}

func (p *process) mustDo(t *testing.T, method, path, header, body string) answer {
	t.Helper()
	a, err := p.try(t, method, path, header, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (p *process) want(t *testing.T, status int, method, path, header, body string) answer {
	t.Helper()
	a := p.mustDo(t, method, path, header, body)
	if a.status != status {
		t.Errorf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

func (i install) pskHeader() string     { return "Authorization-PSK: " + i.psk }
func (i install) sessionHeader() string { return "X-Session-API-Key: " + i.sessionKey }

const app = "/api/app/0f8fad5b-d9cb-469f-a165-70867728950e/secrets"
