package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/strongroom/strongroom/internal/server"
)

// mustServeHandler serves a handler with a connection limit, over TLS if there
// is a certificate, and returns the address.
func mustServeHandler(t *testing.T, h http.Handler, limit int, log *slog.Logger, certificate *tls.Certificate) string {
	t.Helper()
	l := mustListen(t, "tcp", "127.0.0.1:0")
	e := server.Endpoint{Listener: l, Handler: h, Connections: limit}
	if certificate != nil {
		e.TLS = func() *tls.Config { return server.TLS(*certificate, tls.VersionTLS13) }
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, time.Second, log, e) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return l.Addr().String()
}

// testCertificate returns the certificate that net/http uses in its tests.
func testCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return &s.TLS.Certificates[0]
}

// large sends an answer that is larger than all buffers together.
var large = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 16<<20)) })

func TestUnreadAnswersAreCutOff(t *testing.T) {
	t.Parallel()
	address := mustServeHandler(t, large, 8, discard, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now() // before the request, so that a busy machine makes the time longer and not shorter
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	mustEndWithin(t, conn, 30*time.Second)
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("the connection was closed after only %s", took)
	}
}

// mustEndWithin waits, without reading, until the peer has closed the
// connection.
func mustEndWithin(t *testing.T, conn net.Conn, d time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := conn.Write([]byte("\r\n")); err != nil {
			return
		}
	}
	t.Fatalf("the connection is open after %s", d)
}

// A slow client does not count as stalled: the time limit is for each chunk.
func TestSlowlyReadAnswersAreCompleted(t *testing.T) {
	t.Parallel()
	address := mustServeHandler(t, large, 8, discard, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var got int
	buffer := make([]byte, 256<<10)
	for {
		n, err := io.ReadFull(conn, buffer)
		got += n
		if err != nil {
			break
		}
		time.Sleep(120 * time.Millisecond) // 64 of them take longer than writeStall
	}
	if got < 16<<20 {
		t.Errorf("got %d bytes", got)
	}
}

func TestConnLimiterEvictsClientsThatReadNoAnswer(t *testing.T) {
	var log lockedBuffer
	address := mustServeHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			large(w, r)
		}
	}), 4, slog.New(slog.NewTextHandler(&log, nil)), nil)
	for range 12 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	began := time.Now()
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if took := time.Since(began); took > 4*time.Second { // without an eviction it waits for five
		t.Errorf("a new client waited for %s", took)
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), `"connection limit reached" limit=4`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the eviction is not logged:\n%s", log.String())
		}
	}
}

// httpx sends a whole body before it reads anything. It must get the answer
// although the server does not read the body.
func TestClientThatSendsItsWholeBodyFirstGetsAnEarlyAnswer(t *testing.T) {
	address := mustServeHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}), 2048, discard, testCertificate(t))
	for _, size := range []int{1 << 20, 1<<20 + 1, 4 << 20} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if got := sendThenRead(t, conn, size); got != "401" {
			t.Errorf("%d bytes: got status %q", size, got)
		}
	}
}

// sendThenRead sends a body as fast as the flow-control windows allow, then
// returns the status of the answer. Like httpx 0.28 it ignores the answer and
// resets while it sends, and waits only for window updates.
func sendThenRead(t *testing.T, conn net.Conn, size int) (status string) {
	t.Helper()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "PUT"}, {":scheme", "https"}, {":path", "/"}, {":authority", "x"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	stream, whole := 0, 65_535
	read := func() bool {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Logf("reading: %v", err)
			return false
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				stream += int(v)
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				whole += int(f.Increment)
			} else {
				stream += int(f.Increment)
			}
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		}
		return true
	}
	for stream == 0 || whole == 65_535 { // the settings and the first window update
		if !read() {
			return ""
		}
	}
	_ = framer.WriteSettingsAck()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	for size > 0 {
		n := min(size, 16<<10, stream, whole)
		if n == 0 {
			if !read() {
				return ""
			}
			continue
		}
		size, stream, whole = size-n, stream-n, whole-n
		_ = framer.WriteData(1, size == 0, make([]byte, n))
	}
	for status == "" && read() {
	}
	return status
}

// lockedBuffer is a buffer that is safe for concurrent use.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
