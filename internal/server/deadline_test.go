package server

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

func TestDeadlineIsSetWhenItHasPassedAndClearedByTheNextOne(t *testing.T) {
	var set []time.Time
	d := deadline{set: func(at time.Time) error { set = append(set, at); return nil }}
	now := time.Now()
	soon, later, past, interrupt := now.Add(time.Minute), now.Add(time.Hour), now.Add(-time.Minute), time.Unix(1, 0)
	for _, step := range []struct {
		what string
		do   func()
		want []time.Time
	}{
		{"one to come is noted", func() { _ = d.put(soon) }, nil},
		{"and does not count before", func() { d.enforce(soon) }, nil},
		{"it counts when it has passed", func() { d.enforce(soon.Add(1)) }, []time.Time{soon}},
		{"and need not be set again", func() { d.enforce(soon.Add(2)) }, nil},
		{"the next takes it back", func() { _ = d.put(later) }, []time.Time{{}}},
		{"and is noted itself", func() { d.enforce(soon.Add(3)) }, nil},
		{"none takes it back as well", func() { _ = d.put(time.Time{}) }, nil},
		{"and never counts", func() { d.enforce(later.Add(1)) }, nil},
		{"a passed one waits for the limiter", func() { _ = d.put(past) }, nil},
		{"and then counts", func() { d.enforce(now) }, []time.Time{past}},
		{"an interrupt counts immediately", func() { _ = d.put(interrupt) }, []time.Time{interrupt}},
		{"until there is none", func() { _ = d.put(time.Time{}) }, []time.Time{{}}},
	} {
		set = nil
		if step.do(); !slices.EqualFunc(set, step.want, time.Time.Equal) {
			t.Errorf("%s: set %v, want %v", step.what, set, step.want)
		}
	}
}

func TestConnLimiterEnforcesReadAndWriteDeadlines(t *testing.T) {
	conn, client := acceptOne(t)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a silent connection: %v", err)
	}
	var err error
	for err == nil { // until all buffers are full
		_, err = conn.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing to a connection that is not read: %v", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Errorf("reading without a deadline: %v", err)
	}
}

func TestConnLimiterClosesIdleConnections(t *testing.T) {
	c, _ := acceptOne(t)
	now := time.Now()
	noteState(c, http.StateIdle)
	noteState(c, http.StateActive)
	if c.endIdle(now.Add(time.Hour)); c.gone() {
		t.Error("a connection with a request in flight was closed")
	}
	noteState(c, http.StateIdle)
	if c.endIdle(now.Add(idleTimeout)); c.gone() {
		t.Error("the idle connection was closed too early")
	}
	if c.endIdle(now.Add(idleTimeout + time.Minute)); !c.gone() {
		t.Error("an idle connection stays open")
	}
}

func (c *conn) gone() bool { return c.limiter.gone(c) }

// acceptOne returns a connection that a connLimiter accepted, and the client's end of it.
func acceptOne(t *testing.T) (accepted *conn, client net.Conn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	limiter := newConnLimiter(l, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = limiter.Close() })
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	c, err := limiter.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn), client
}
