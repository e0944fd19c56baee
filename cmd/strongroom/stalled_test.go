package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A silentPipe is a pipe without a reader.
type silentPipe struct {
	fds   [2]int // blocking, like the pipes of a shell
	write *os.File
}

func mustPipe(t *testing.T) *silentPipe {
	t.Helper()
	p := &silentPipe{}
	mustWork(t, unix.Pipe2(p.fds[:], unix.O_CLOEXEC))
	p.write = os.NewFile(uintptr(p.fds[1]), "pipe")
	t.Cleanup(func() { _, _ = p.write.Close(), unix.Close(p.fds[0]) })
	return p
}

// mustFill fills the pipe, so that the next write blocks. It opens the pipe
// again, since O_NONBLOCK would otherwise apply to the server, too.
func (p *silentPipe) mustFill(t *testing.T) {
	t.Helper()
	fd, err := unix.Open(fmt.Sprint("/proc/self/fd/", p.fds[1]), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	mustWork(t, err)
	defer func() { _ = unix.Close(fd) }()
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = unix.Write(fd, make([]byte, size))
		}
		if !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
	}
}

// mustClose closes the read end, so that the next write gets a broken pipe.
func (p *silentPipe) mustClose(t *testing.T) {
	t.Helper()
	mustWork(t, unix.Close(p.fds[0]))
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	mustWork(t, err)
	p.fds[0] = fd // for the cleanup
}

// mustServeSilently starts a server whose output the test does not read, on an
// address that was unused just before.
func mustServeSilently(t *testing.T, i install, stdout, stderr *os.File) *process {
	t.Helper()
	address := mustFindAddress(t)
	p := &process{
		cmd:  exec.Command(mustBuildFast(t), "serve", "--config", i.config(), "--listen", address),
		more: make(chan struct{}), exited: make(chan struct{}), address: address,
		client: &http.Client{Timeout: patience},
	}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	mustWork(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.exited
	})
	p.mustBecomeHealthy(t)
	return p
}

func (p *process) mustBecomeHealthy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if a, err := p.try(t, "GET", "/healthz", "", ""); err == nil && a.status == 200 {
			return
		}
		select {
		case <-p.exited:
			t.Fatalf("the server exited: %v", p.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
	}
}

// outputs lists possible states of the server's standard output and error.
var outputs = map[string]func(t *testing.T, p *silentPipe){
	"closed":  func(t *testing.T, p *silentPipe) { p.mustClose(t) },
	"stalled": func(t *testing.T, p *silentPipe) { p.mustFill(t) },
}

func TestServerRunsWithoutAReaderOfItsOutput(t *testing.T) {
	t.Parallel()
	for _, anchored := range []bool{false, true} {
		for name, lose := range outputs {
			if anchored {
				name += ", with the anchor on stdout"
			}
			t.Run(name, func(t *testing.T) {
				i := mustInit(t)
				i.mustEdit(t, "strongroom.yaml", "drain: 10s", "drain: 1s")
				if anchored {
					i.mustAnchorTo(t, "{stdout: true}")
				}
				stdout, stderr := mustPipe(t), mustPipe(t)
				p := mustServeSilently(t, i, stdout.write, stderr.write)
				p.want(t, 200, "GET", "/readyz", "", "")
				lose(t, stdout)
				lose(t, stderr)
				mustObey(t, p, i, anchored)
				mustEndWithin(t, p, stopsWithin)
			})
		}
	}
}

func TestServerStartsWithoutAReaderOfItsOutput(t *testing.T) {
	t.Parallel()
	for name, lose := range outputs {
		t.Run(name, func(t *testing.T) {
			i := mustInit(t)
			i.mustEdit(t, "strongroom.yaml", "drain: 10s", "drain: 1s")
			i.mustAnchorTo(t, "{stdout: true}")
			stdout, stderr := mustPipe(t), mustPipe(t)
			lose(t, stdout)
			lose(t, stderr)
			p := mustServeSilently(t, i, stdout.write, stderr.write)
			mustObey(t, p, i, true)
			mustEndWithin(t, p, stopsWithin)
		})
	}
}

// mustObey changes the keys file at least twice, since the first reload logs the line
// that could block the second. Then it revokes an issued API key.
func mustObey(t *testing.T, p *process, i install, anchored bool) {
	t.Helper()
	old := i.psk
	for range 2 {
		wantWithin(t, 2*time.Second, "until a revoked API key is rejected", func() time.Duration {
			key, entry := newKey()
			changed := time.Now()
			mustWrite(t, i.path("keys/psks.yaml"), "keys:\n"+entry)
			p.mustBecome(t, 401, "GET", app, "Authorization-PSK: "+old)
			took := time.Since(changed)
			p.want(t, 200, "GET", app, "Authorization-PSK: "+key, "")
			old = key
			return took
		})
	}
	mustRevoke(t, p, i)
	if says := i.mustAdminister(t, "status"); !strings.Contains(says, "is serving") {
		t.Errorf("status prints\n%s", says)
	}
	if !anchored {
		p.want(t, 200, "GET", "/readyz", "", "")
		return
	}
	started := time.Now()
	p.mustBecome(t, 503, "GET", "/readyz", "")
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("/readyz takes %s to report that the audit log is not anchored", took)
	}
}

// mustRevoke issues an API key and revokes it.
func mustRevoke(t *testing.T, p *process, i install) {
	t.Helper()
	key := i.mustIssue(t, "apikey", "create", "--subject", "ci", "--grant", "{actions: [list], owner: app/*}")
	header := "Authorization-PSK: " + key
	p.want(t, 200, "GET", app, header, "")
	i.mustAdminister(t, "apikey", "revoke", "--yes", idIn(key))
	p.want(t, 401, "GET", app, header, "")
}

// stopsWithin is the drain time of one second, the server's five seconds for closing, and
// four more for a busy machine.
const stopsWithin = 10 * time.Second

func mustEndWithin(t *testing.T, p *process, within time.Duration) {
	t.Helper()
	p.client.CloseIdleConnections()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("the server has not exited %s after SIGTERM", within)
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		t.Errorf("signal %v killed the server", status.Signal())
	}
}
