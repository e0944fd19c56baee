package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/server"
)

// A gate holds each request until it is opened.
type gate struct{ reached, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 8), make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.reached <- struct{}{}
	select {
	case <-g.open:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
	}
}

func mustListen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func client(t *testing.T, l net.Listener) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial(l.Addr().Network(), l.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get starts a request and returns its body or its error.
func get(c *http.Client) <-chan string {
	got := make(chan string, 1)
	go func() {
		resp, err := c.Get("http://server/")
		if err != nil {
			got <- "error"
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			body = []byte("error")
		}
		got <- string(body)
	}()
	return got
}

var discard = slog.New(slog.DiscardHandler)

// start serves one gate on two endpoints, each with a request in progress.
func start(t *testing.T, drain time.Duration) (g *gate, stop func(), ended chan error, answers []<-chan string, listeners []net.Listener) {
	t.Helper()
	g = newGate()
	listeners = []net.Listener{mustListen(t, "tcp", "127.0.0.1:0"), mustListen(t, "unix", filepath.Join(t.TempDir(), "s"))}
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, drain, discard,
			server.Endpoint{Listener: listeners[0], Handler: g}, server.Endpoint{Listener: listeners[1], Handler: g, Patient: true})
	}()
	for _, l := range listeners {
		answers = append(answers, get(client(t, l)))
		<-g.reached
	}
	return g, stop, ended, answers, listeners
}

func TestBothEndpointsDrainBeforeServeReturns(t *testing.T) {
	g, stop, ended, answers, listeners := start(t, time.Minute)
	stop()
	for _, l := range listeners {
		mustBeGone(t, l)
	}
	select {
	case err := <-ended:
		t.Errorf("Serve returned while requests were in progress: %v", err)
	default:
	}
	close(g.open)
	for n, a := range answers {
		if got := <-a; got != "done" {
			t.Errorf("endpoint %d answered %q", n, got)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func mustBeGone(t *testing.T, l net.Listener) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server still listens")
		}
	}
}

func TestRequestsThatOutlastTheDrainAreCutOffAndReported(t *testing.T) {
	_, stop, ended, answers, _ := start(t, 50*time.Millisecond)
	stop()
	err := <-ended
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "draining: requests were still in progress after 50ms") {
		t.Errorf("Serve returned %v", err)
	}
	for n, a := range answers {
		if got := <-a; got != "error" {
			t.Errorf("endpoint %d answered %q", n, got)
		}
	}
}

func TestAllEndpointsEndWhenOneFails(t *testing.T) {
	for failing := range 2 {
		g, stop, ended, answers, listeners := start(t, time.Minute)
		defer stop()
		_ = listeners[failing].Close()
		mustBeGone(t, listeners[1-failing])
		close(g.open)
		for _, a := range answers {
			if got := <-a; got != "done" {
				t.Errorf("a request in progress was answered %q", got)
			}
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serving: ") {
			t.Errorf("Serve returned %v", err)
		}
	}
}

func TestConnContextReachesRequests(t *testing.T) {
	type key struct{}
	l := mustListen(t, "tcp", "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(key{}).(net.Conn)
		_, _ = io.WriteString(w, conn.RemoteAddr().Network())
	})
	add := func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, c) }
	go func() {
		ended <- server.Serve(ctx, time.Minute, discard, server.Endpoint{Listener: l, Handler: handler, ConnContext: add})
	}()
	if got := <-get(client(t, l)); got != "tcp" {
		t.Errorf("got %q", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
