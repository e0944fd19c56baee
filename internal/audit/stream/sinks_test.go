package stream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/audit/stream"
)

// mustEntries returns the entries of a new log.
func mustEntries(t *testing.T, n int) []audit.Entry {
	t.Helper()
	l := mustLog(t)
	mustRecord(t, l, n)
	entries, err := l.Read(0, n)
	if err != nil || len(entries) != n {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	return entries
}

// seqOf returns the number in an entry's line of JSON.
func seqOf(t *testing.T, line []byte) uint64 {
	t.Helper()
	var e struct {
		Seq  uint64
		Name string
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Name == "" {
		t.Errorf("not an entry: %v: %s", err, line)
	}
	return e.Seq
}

func mustFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func seqsIn(t *testing.T, path string) (all []uint64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, `{"seq":`) && strings.HasSuffix(line, "}\n") {
			all = append(all, seqOf(t, []byte(line)))
		}
	}
	return all
}

func TestFileIsCreatedPrivateAndSurvivesRotation(t *testing.T) {
	entries := mustEntries(t, 3)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	sink := stream.File(path)
	mustSend(t, sink, entries[:1])
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mustSend(t, sink, entries[1:])
	if got := append(seqsIn(t, path+".1"), seqsIn(t, path)...); !slices.Equal(got, numbers(1, 3)) {
		t.Errorf("got %v", got)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

func mustSend(t *testing.T, sink stream.Sink, entries []audit.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := sink.Send(ctx, entries); err != nil {
		t.Fatal(err)
	}
}

func TestFileEndsALineThatACrashHasCutOff(t *testing.T) {
	path := mustFile(t, "audit.jsonl", `{"seq":1,"na`)
	sink := stream.File(path)
	mustSend(t, sink, mustEntries(t, 2))
	if got := seqsIn(t, path); !slices.Equal(got, numbers(1, 2)) {
		t.Errorf("got %v", got)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileIsNoSymbolicLink(t *testing.T) {
	target := mustFile(t, "target", "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := stream.File(link).Send(t.Context(), mustEntries(t, 1)); err == nil {
		t.Error("the entries went through a symbolic link")
	}
}

// An httpCollector is a collector that acknowledges batches of at most some entries.
type httpCollector struct {
	*httptest.Server
	most int

	mu       sync.Mutex // guards the fields below
	got      []uint64
	requests int
	header   http.Header
	answer   int
}

func mustCollect(t *testing.T, most int) *httpCollector {
	t.Helper()
	c := &httpCollector{most: most, answer: http.StatusNoContent}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.take(t, w, r) }))
	t.Cleanup(c.Server.Close)
	return c
}

func (c *httpCollector) take(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var lines []json.RawMessage
	if r.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(body, &lines); err != nil {
			t.Errorf("%v: %s", err, body)
		}
	} else {
		for line := range strings.Lines(string(body)) {
			lines = append(lines, json.RawMessage(line))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.header = r.Header
	if len(lines) > c.most {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	if c.answer >= 300 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(c.answer)
		return
	}
	for _, line := range lines {
		c.got = append(c.got, seqOf(t, line))
	}
	w.WriteHeader(c.answer)
}

func (c *httpCollector) caFile(t *testing.T) string {
	t.Helper()
	return mustFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})))
}

func TestCollectorGetsBatchesInBothFormats(t *testing.T) {
	for kind, array := range map[string]bool{"application/x-ndjson": false, "application/json": true} {
		c := mustCollect(t, 100)
		sink, err := stream.HTTP(stream.HTTPOptions{
			URL: c.URL, Array: array, TokenFile: mustFile(t, "token", "t0ken\n"), TLS: stream.TLS{CAFile: c.caFile(t)},
		})
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, sink, mustEntries(t, 20))
		if got, want := c.header.Get("Content-Type")+", "+c.header.Get("Authorization"), kind+", Bearer t0ken"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !slices.Equal(c.got, numbers(1, 20)) {
			t.Errorf("%s: got %v", kind, c.got)
		}
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBatchThatIsTooLargeIsHalved(t *testing.T) {
	c := mustCollect(t, 3)
	sink, err := stream.HTTP(stream.HTTPOptions{URL: c.URL, TLS: stream.TLS{CAFile: c.caFile(t)}})
	if err != nil {
		t.Fatal(err)
	}
	mustSend(t, sink, mustEntries(t, 20))
	if !slices.Equal(c.got, numbers(1, 20)) {
		t.Errorf("got %v", c.got)
	}
}

func TestOtherAnswersAcknowledgeNothing(t *testing.T) {
	c := mustCollect(t, 100)
	sink, err := stream.HTTP(stream.HTTPOptions{URL: c.URL + "/s3cret?key=s3cret", TLS: stream.TLS{CAFile: c.caFile(t)}})
	if err != nil {
		t.Fatal(err)
	}
	entries := mustEntries(t, 1)
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusServiceUnavailable} {
		c.answer, c.requests = status, 0
		err := sink.Send(t.Context(), entries)
		if err == nil || err.Error() != fmt.Sprintf("the collector answered with status %d", status) || c.requests != 1 {
			t.Errorf("status %d: %v after %d requests", status, err, c.requests)
		}
	}
	c.Server.Close()
	if err := sink.Send(t.Context(), entries); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("without a collector: %v", err)
	}
}

func TestCollectorMustHaveACertificateOfTheAuthority(t *testing.T) {
	c := mustCollect(t, 100)
	sink, err := stream.HTTP(stream.HTTPOptions{URL: c.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Send(t.Context(), mustEntries(t, 1)); err == nil || len(c.got) > 0 {
		t.Errorf("an unknown authority: %v, got %v", err, c.got)
	}
}

func TestMistakesInFilesNameTheField(t *testing.T) {
	open := func(o stream.HTTPOptions) error {
		o.URL = "https://collector.example"
		_, err := stream.HTTP(o)
		return err
	}
	readable := mustFile(t, "token", "t0ken")
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	nothing := mustFile(t, "nothing", "\n")
	for field, err := range map[string]error{
		"ca_file: open /nowhere":              open(stream.HTTPOptions{TLS: stream.TLS{CAFile: "/nowhere"}}),
		"ca_file: has no certificate":         open(stream.HTTPOptions{TLS: stream.TLS{CAFile: nothing}}),
		"token_file: open /nowhere":           open(stream.HTTPOptions{TokenFile: "/nowhere"}),
		"token_file: other users can access ": open(stream.HTTPOptions{TokenFile: readable}),
		"token_file: must have one line":      open(stream.HTTPOptions{TokenFile: nothing}),
		"certificate: open /nowhere":          open(stream.HTTPOptions{TLS: stream.TLS{Certificate: "/nowhere", Key: "/nowhere"}}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("got %v, want %s", err, field)
		}
	}
	if _, err := stream.Syslog(stream.SyslogOptions{TLS: stream.TLS{CAFile: "/nowhere"}}); err == nil || !strings.HasPrefix(err.Error(), "ca_file: ") {
		t.Errorf("syslog: %v", err)
	}
}

// A syslogServer parses messages of RFC 5424 with octet counting.
type syslogServer struct {
	net.Listener
	mu    sync.Mutex // guards the fields below
	got   []uint64
	conns []net.Conn
}

func mustServeSyslog(t *testing.T, secured *tls.Config) *syslogServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secured != nil {
		l = tls.NewListener(l, secured)
	}
	s := &syslogServer{Listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			serving.Go(func() { s.read(t, conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.hangUp()
		serving.Wait()
	})
	return s
}

func (s *syslogServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

var message = regexp.MustCompile(`^<(108|109)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ strongroom \d+ audit - (\{.*\})$`)

func (s *syslogServer) read(t *testing.T, conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		size, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
		if err != nil {
			t.Errorf("the size of a message: %v", err)
			return
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		found := message.FindSubmatch(text)
		if found == nil {
			t.Errorf("not a message: %s", text)
			return
		}
		s.mu.Lock()
		s.got = append(s.got, seqOf(t, found[2]))
		s.mu.Unlock()
	}
}

func (s *syslogServer) has() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func TestSyslogOverTCPAndTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	ca := mustFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})))
	for name, secured := range map[string]*tls.Config{"tcp": nil, "tls": {Certificates: certified.TLS.Certificates}} {
		t.Run(name, func(t *testing.T) {
			server := mustServeSyslog(t, secured)
			o := stream.SyslogOptions{Address: server.Addr().String(), Plain: secured == nil}
			if secured != nil {
				o.TLS.CAFile = ca
			}
			sink, err := stream.Syslog(o)
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, sink, mustEntries(t, 300))
			mustHappen(t, "all messages", func() bool { return len(server.has()) == 300 })
			if got := server.has(); !slices.Equal(got, numbers(1, 300)) {
				t.Errorf("got %v", got)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSyslogServerMustHaveACertificateOfTheAuthority(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	server := mustServeSyslog(t, &tls.Config{Certificates: certified.TLS.Certificates})
	sink, err := stream.Syslog(stream.SyslogOptions{Address: server.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Send(t.Context(), mustEntries(t, 1)); err == nil || len(server.has()) > 0 {
		t.Errorf("an unknown authority: %v, got %v", err, server.has())
	}
}

// The server ends the connection while nothing is sent, as at its restart.
func TestSyslogReportsALostConnection(t *testing.T) {
	server := mustServeSyslog(t, nil)
	sink, err := stream.Syslog(stream.SyslogOptions{Address: server.Addr().String(), Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	entries := mustEntries(t, 2)
	mustSend(t, sink, entries[:1])
	mustHappen(t, "the message", func() bool { return len(server.has()) == 1 })
	before := time.Now()
	server.hangUp()
	var lost *stream.LostError
	mustHappen(t, "an error", func() bool { return errors.As(sink.Send(t.Context(), entries[1:]), &lost) })
	if lost.At.Before(before) || lost.At.After(time.Now()) {
		t.Errorf("lost at %v, want after %v", lost.At, before)
	}
	mustSend(t, sink, entries)
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}
