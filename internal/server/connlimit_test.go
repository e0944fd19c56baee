package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/server"
)

// A house serves a crowd: whoever asks for /in is let in, /hold is answered
// when the gate opens, /read reads a body, /out does not let anybody in.
type house struct {
	address string
	gate    chan struct{}
	held    chan struct{} // one for each that is held
}

func mustOpen(t *testing.T, connections int) *house {
	t.Helper()
	h := &house{gate: make(chan struct{}), held: make(chan struct{})}
	answer := func(c echo.Context) error { return c.String(200, "ok") }
	e := echo.New()
	in := e.Group("", server.MarkAuthenticated)
	in.GET("/in", answer)
	in.GET("/hold", func(c echo.Context) error {
		h.held <- struct{}{}
		<-h.gate
		return answer(c)
	})
	in.POST("/read", func(c echo.Context) error {
		if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
			return err
		}
		return answer(c)
	})
	e.Any("/out", func(c echo.Context) error { return c.String(401, "who?") })
	l := mustListen(t, "tcp", "127.0.0.1:0")
	h.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, time.Second, discard, server.Endpoint{Listener: l, Handler: e, Connections: connections})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return h
}

// A guest is a connection.
type guest struct {
	net.Conn
	r *bufio.Reader
}

func (h *house) mustDial(t *testing.T) *guest {
	t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &guest{conn, bufio.NewReader(conn)}
}

// say sends and does not wait.
func (g *guest) say(format string, args ...any) *guest {
	_, _ = fmt.Fprintf(g, format, args...)
	return g
}

func (g *guest) get(path string) *guest { return g.say("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) }

// hear waits for an answer and returns its status, or 0 if there is none.
func (g *guest) hear() int {
	_ = g.SetReadDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(g.r, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func (g *guest) mustHear(t *testing.T, status int) {
	t.Helper()
	if got := g.hear(); got != status {
		t.Fatalf("got %d, want %d", got, status)
	}
}

// mustBeSentAway waits until the server has closed the connection.
func (g *guest) mustBeSentAway(t *testing.T) {
	t.Helper()
	_ = g.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := g.r.ReadByte(); err == nil {
		t.Error("it is answered")
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("it stays")
	}
}

func TestStrangersDriveOutStrangersAndNobodyElse(t *testing.T) {
	h := mustOpen(t, 64)
	var known []*guest
	for range 8 {
		g := h.mustDial(t).get("/in")
		g.mustHear(t, 200)
		known = append(known, g)
	}
	first := h.mustDial(t)
	slow := h.mustDial(t).say("GET /in HTTP/1.1\r\nHost:")
	outside := h.mustDial(t).get("/out")
	outside.mustHear(t, 401)
	for n := range 500 {
		h.mustDial(t)
		if n%50 == 0 {
			h.mustDial(t).get("/in").mustHear(t, 200)
		}
	}
	for _, g := range []*guest{first, slow, outside} {
		g.mustBeSentAway(t)
	}
	for _, g := range known {
		g.get("/in").mustHear(t, 200)
	}
}

func TestWhereAllAreIdleOneGoesThatHasBeenForLong(t *testing.T) {
	h := mustOpen(t, 8)
	var all []*guest
	for range 8 {
		g := h.mustDial(t).get("/in")
		g.mustHear(t, 200)
		all = append(all, g)
	}
	all[0].get("/in").mustHear(t, 200) // which is not idle for the longest any more
	h.mustDial(t).get("/in").mustHear(t, 200)
	all[0].get("/in").mustHear(t, 200)
	gone := 0
	for _, g := range all[1:] {
		if g.get("/in").hear() == 0 {
			gone++
		}
	}
	if gone != 1 {
		t.Errorf("%d of those idle for longer are gone, want 1", gone)
	}
}

func TestWhoeverSendsABodySlowlyMakesRoomInTheEnd(t *testing.T) {
	h := mustOpen(t, 8)
	var slow []*guest
	for range 12 {
		g := h.mustDial(t).say("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
		g.mustHear(t, 100) // it is being read
		slow = append(slow, g.say("abc"))
		h.mustDial(t).get("/in").mustHear(t, 200)
	}
	slow[0].mustBeSentAway(t)
	h.mustDial(t).say("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").mustHear(t, 200)
}

func TestWhereAllAreBeingServedAnotherWaits(t *testing.T) {
	h := mustOpen(t, 4)
	var held []*guest
	for range 4 {
		held = append(held, h.mustDial(t).get("/hold"))
		<-h.held
	}
	another := h.mustDial(t).get("/in")
	_ = another.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := another.r.Peek(1); err == nil {
		t.Error("a fifth is served")
	}
	another.r.Reset(another)
	close(h.gate)
	for _, g := range held {
		g.mustHear(t, 200)
	}
	another.mustHear(t, 200)
}

// The server neither waits for a body that it has no use for, nor takes what
// comes of it for a request.
func TestABodyThatNobodyReadsIsNotWaitedFor(t *testing.T) {
	h := mustOpen(t, 8)
	g := h.mustDial(t).say("POST /out HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	g.mustHear(t, 401)
	g.mustBeSentAway(t)
	g = h.mustDial(t).say("POST /out HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	g.mustHear(t, 401)
	g.get("/in").mustHear(t, 200) // on the same connection
	g = h.mustDial(t).say("POST /out HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	g.mustHear(t, 401)
	g.mustBeSentAway(t)
}

// BenchmarkCrowd is a request over a connection of a crowd, and over one that
// nobody counts.
func BenchmarkCrowd(b *testing.B) {
	for name, connections := range map[string]int{"with": 4096, "without": 0} {
		b.Run(name, func(b *testing.B) {
			e := echo.New()
			e.GET("/in", func(c echo.Context) error { return c.NoContent(204) }, server.MarkAuthenticated)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- server.Serve(ctx, time.Second, discard, server.Endpoint{Listener: l, Handler: e, Connections: connections})
			}()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			request, answer := []byte("GET /in HTTP/1.1\r\nHost: x\r\n\r\n"), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = conn.Write(request)
				if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 204") {
					b.Fatalf("%q, %v", answer[:n], err)
				}
			}
			stop()
			<-ended
		})
	}
}

// With room for everybody, too: after ten seconds, the second for which they are
// noted only, and what a busy machine adds.
func TestWhoeverDoesNotEndAHeaderIsSentAway(t *testing.T) {
	t.Parallel()
	h := mustOpen(t, 64)
	stranger := h.mustDial(t).say("GET /in HTTP/1.1\r\nHost:")
	known := h.mustDial(t).get("/in")
	known.mustHear(t, 200)
	known.say("GET /in HTTP/1.1\r\nHost:")
	idle := h.mustDial(t).get("/in")
	idle.mustHear(t, 200)
	began := time.Now()
	stranger.mustBeSentAway(t)
	known.mustBeSentAway(t)
	if took := time.Since(began); took < 9*time.Second || took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	idle.get("/in").mustHear(t, 200)
}
