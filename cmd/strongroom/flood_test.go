package main_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	floodEnv     = "STRONGROOM_FLOOD" // number of half-open handshakes; make flood uses more
	defaultFlood = 600
	fullFlood    = 10_000
	// floodMemory is the limit for additional memory of the server, in KiB.
	floodMemory = 150 << 10
)

// The flood sends more unfinished handshakes than the connection limit, and half as many
// unfinished headers and bodies. The bodies have a valid API key, because without one the
// server does not wait for a body. Meanwhile the server must serve well-behaved clients,
// on open and on new connections.
func TestFloodOfUnfinishedRequestsDoesNotBlockClients(t *testing.T) {
	besideOthers(t, floodEnv)
	size := mustCount(t, floodEnv, defaultFlood)
	i, id := mustInit(t), newIdentity(t)
	id.mustWrite(t, i)
	settings := "tls: {certificate: tls.crt, key: tls.key}"
	if size < fullFlood { // otherwise the default limit
		settings += fmt.Sprintf("\n  connections: %d", size)
	}
	i.mustEdit(t, "strongroom.yaml", "drain: 10s", settings)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	good := newGoodClients(i, id, p)
	if a := good.ask(id.client(t, 0), "POST", app, `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`); a != nil {
		t.Fatal(a)
	}
	idle := p.mustMemory(t, "VmRSS")
	calm := good.measure(t, 3*time.Second, func() {})
	rising := good.measure(t, 0, func() {
		mustFlood(t, flood{Kind: "unfinished", Address: p.address, Certificate: i.path("tls.crt"), Header: i.pskHeader(), Size: size})
	})
	risen := good.measure(t, 3*time.Second, func() {})
	taken := p.mustMemory(t, "VmHWM") - idle
	t.Logf("%d connections that do not finish, %d of them left; %d MiB over %d\ncalm    %s\nrising  %s\nrisen   %s",
		size*3/2, p.connections(t), taken>>10, idle>>10, calm, rising, risen)
	if calm.failed+rising.failed+risen.failed > mayFail(floodEnv, calm.requests+rising.requests+risen.requests) {
		t.Errorf("requests failed, the first with %v", good.err.Load())
	}
	if taken > floodMemory {
		t.Errorf("it took %d MiB more", taken>>10)
	}
	if os.Getenv(floodEnv) != "" && risen.connected > 2*calm.connected {
		t.Error("the median has more than doubled")
	}
}

// goodClients read a secret, some over open connections and some over new ones.
type goodClients struct {
	install install
	id      identity
	p       *process
	err     atomic.Value // first error
}

func newGoodClients(i install, id identity, p *process) *goodClients {
	return &goodClients{install: i, id: id, p: p}
}

func (g *goodClients) ask(client *http.Client, method, path, body string) error {
	scheme := "https://"
	if g.id.certificate == "" {
		scheme = "http://"
	}
	r, err := http.NewRequest(method, scheme+g.p.address+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization-PSK", g.install.psk)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", resp.StatusCode, err)
	}
	return nil
}

// A measurement has the median latency over open and over new connections, the
// highest latency over a new one, and the number of failures.
type measurement struct {
	connected, anew, slowest time.Duration
	requests, failed         int
}

func (m measurement) String() string {
	return fmt.Sprintf("%d requests, %d failed; p50 %s connected, %s anew, at most %s", m.requests, m.failed, m.connected, m.anew, m.slowest)
}

// measure runs eight clients with open connections and two with new ones, with
// pauses between requests, while meanwhile runs and for some time after it.
func (g *goodClients) measure(t *testing.T, longer time.Duration, meanwhile func()) (m measurement) {
	t.Helper()
	stop := make(chan struct{})
	var mu sync.Mutex
	times := map[bool][]time.Duration{}
	wait := atOnce(10, func(n int) {
		stays := n < 8
		client := g.id.client(t, 0)
		client.Transport.(*http.Transport).DisableKeepAlives = !stays
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			began := time.Now()
			err := g.ask(client, "GET", app+"/db", "")
			took := time.Since(began)
			mu.Lock()
			times[stays] = append(times[stays], took)
			if err != nil {
				m.failed++
				g.err.CompareAndSwap(nil, err.Error())
			}
			mu.Unlock()
		}
	})
	meanwhile()
	time.Sleep(longer) // time of the measurement
	close(stop)
	wait()
	m.connected, m.anew = median(times[true]), median(times[false])
	m.slowest = slices.Max(times[false])
	m.requests = len(times[true]) + len(times[false])
	return m
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// floodEnvOf names the environment variable that makes this test binary run a
// flood. The flood has its own process so that its memory is not counted as the
// server's.
const floodEnvOf = "STRONGROOM_TEST_FLOOD"

// A flood is an attack with many connections from another process.
type flood struct {
	Kind, Address string // see floods
	// Certificate is the file with the server's certificate, and Header a line
	// with a valid credential. Both may be empty.
	Certificate, Header string
	// Size is the number of connections, unless the kind says otherwise.
	Size int
	// Waves is the number of groups the connections are split into, with a
	// pause after each.
	Waves int
	Pause time.Duration
}

// floods maps each kind to a function that returns when all connections are
// open.
var floods = map[string]func(flood, *tls.Config) error{
	"unfinished":  flood.startAndStall,
	"unread":      flood.unread,
	"zero window": flood.zeroWindow,
}

// mustFlood returns when all connections are open. They stay open until the
// test ends.
func mustFlood(t *testing.T, f flood) {
	t.Helper()
	what, _ := json.Marshal(f)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floodEnvOf+"="+string(what))
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "risen\n" {
		t.Fatalf("the flood says %q, %v", line, err)
	}
}

// floodAs runs a flood in the other process.
func floodAs(text string) error {
	var f flood
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	if f.Certificate != "" {
		certificate, err := os.ReadFile(f.Certificate)
		if err != nil {
			return err
		}
		config.RootCAs.AppendCertsFromPEM(certificate)
	}
	if err := floods[f.Kind](f, config); err != nil {
		return err
	}
	fmt.Println("risen")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// startAndStall starts TLS handshakes and half as many requests, and completes none of
// them.
func (f flood) startAndStall(config *tls.Config) error {
	const workers = 32
	errs := make([]error, workers)
	atOnce(workers, func(worker int) {
		for n := worker; n < f.Size && errs[worker] == nil; n += workers {
			errs[worker] = f.open("127.0.0.2", func(c net.Conn) {
				_, _ = c.Write([]byte{22, 3, 1}) // start of a ClientHello
			})
			switch n % 4 {
			case 0:
				errs[worker] = errors.Join(errs[worker], f.open("127.0.0.3", begin(config, "GET "+app+"/db HTTP/1.1\r\nHost: x\r\n")))
			case 2:
				errs[worker] = errors.Join(errs[worker], f.open("127.0.0.4", begin(config, "PUT "+app+"/db HTTP/1.1\r\nHost: x\r\n"+f.Header+
					"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")))
			}
		}
	})()
	return errors.Join(errs...)
}

// begin completes a handshake and sends the start of a request. The server may already
// have closed the connection.
func begin(config *tls.Config, text string) func(net.Conn) {
	return func(c net.Conn) {
		secure := tls.Client(c, config)
		_ = secure.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(secure, text)
	}
}

// heldOpen references the connections, which the garbage collector would
// otherwise close.
var heldOpen sync.Map

func (f flood) open(from string, begin func(net.Conn)) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", f.Address)
	if err != nil {
		return fmt.Errorf("connecting from %s: %w", from, err)
	}
	heldOpen.Store(conn, nil)
	begin(conn)
	return nil
}

// connections returns the number of sockets that the process has open.
func (p *process) connections(t *testing.T) (open int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, _ := os.Readlink(dir + "/" + f.Name()); strings.HasPrefix(to, "socket:") {
			open++
		}
	}
	return open
}

// mustMemory returns a line of /proc/PID/status, in KiB (proc(5)).
func (p *process) mustMemory(t *testing.T, line string) int {
	t.Helper()
	status := mustRead(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	found := regexp.MustCompile(line + `:\s+(\d+) kB`).FindStringSubmatch(status)
	if found == nil {
		t.Fatalf("there is no %s in\n%s", line, status)
	}
	kib, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
