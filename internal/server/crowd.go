package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// unfinishedShare of a crowd is the unfinished ones' own: one in so many.
	unfinishedShare = 2
	// sentAwayShare are sent away together, so that a crowd is looked through
	// less often than somebody comes: one in so many.
	sentAwayShare = 32
	// roomEvery is how often it is looked for room where all are being served.
	roomEvery = 20 * time.Millisecond
	// discardFor is how long a body may still take that nobody reads: net/http
	// wants the rest of it before it answers.
	discardFor = time.Second
)

// A crowd is the connections of a listener, so many and no more. Where there
// is no room for another, some are closed that keep us waiting: those with
// something unfinished if they are half of the crowd, and else those that are
// idle, the longest waited for first. Unfinished is a body that is being sent,
// and everything before a first request that is let in.
//
// So a flood of what is never finished drives out its own kind, idle clients
// stay as long as they are few, and whoever does not dawdle gets served however
// many come. Where all are being served, another one waits.
type crowd struct {
	*net.TCPListener
	limit int

	mu     sync.Mutex // guards what follows
	all    map[*member]struct{}
	closed bool
}

func newCrowd(l *net.TCPListener, limit int) *crowd {
	c := &crowd{TCPListener: l, limit: limit, all: map[*member]struct{}{}}
	go c.watch()
	return c
}

// watch ends what has taken too long, until there is nobody left.
func (c *crowd) watch() {
	tick := time.NewTicker(deadlineStep)
	defer tick.Stop()
	for now := range tick.C {
		members, closed := c.members()
		if closed && len(members) == 0 {
			return
		}
		for _, m := range members {
			m.reading.enforce(now)
			m.writing.enforce(now)
		}
	}
}

func (c *crowd) members() (all []*member, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.all)), c.closed
}

// Accept waits for a connection, and for room for it.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.AcceptTCP()
		if outOfFiles(err) && c.sendAway() {
			continue
		}
		if err != nil {
			return nil, err
		}
		for !c.makeRoom() {
			time.Sleep(roomEvery)
		}
		return c.join(conn), nil
	}
}

// outOfFiles reports whether the process or the machine has no more of them.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// makeRoom reports whether there is room, or no listener any more.
func (c *crowd) makeRoom() bool {
	c.mu.Lock()
	room := len(c.all) < c.limit || c.closed
	c.mu.Unlock()
	return room || c.sendAway()
}

// Close also ends the wait for room.
func (c *crowd) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.TCPListener.Close()
}

func (c *crowd) join(conn *net.TCPConn) *member {
	m := &member{TCPConn: conn, crowd: c, reading: deadline{set: conn.SetReadDeadline}, writing: deadline{set: conn.SetWriteDeadline}}
	m.since.Store(time.Now().UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[m] = struct{}{}
	return m
}

func (c *crowd) leave(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, m)
}

// sendAway closes some connections, if there are any that keep us waiting.
func (c *crowd) sendAway() bool {
	unfinished, idle := c.waiting()
	some := idle
	if len(unfinished) >= c.limit/unfinishedShare || len(idle) == 0 {
		some = unfinished
	}
	slices.SortFunc(some, func(a, b waiting) int { return cmp.Compare(a.since, b.since) })
	for _, w := range some[:min(len(some), max(1, c.limit/sentAwayShare))] {
		_ = w.Close()
	}
	return len(some) > 0
}

// waiting is a member that keeps us waiting, and since when.
type waiting struct {
	*member
	since int64
}

func (c *crowd) waiting() (unfinished, idle []waiting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range c.all {
		w := waiting{m, m.since.Load()}
		switch {
		case m.busy.Load() && m.bodies.Load() == 0: // it waits for us
		case m.known.Load() && !m.busy.Load():
			idle = append(idle, w)
		default:
			unfinished = append(unfinished, w)
		}
	}
	return unfinished, idle
}

// A member is a connection of a crowd.
type member struct {
	*net.TCPConn
	crowd  *crowd
	known  atomic.Bool
	busy   atomic.Bool  // there is a request under way
	bodies atomic.Int32 // that are being read
	since  atomic.Int64 // it keeps us waiting: nanoseconds of Unix time

	reading, writing deadline
}

// Close implements net.Conn.
func (m *member) Close() error {
	m.crowd.leave(m)
	return m.TCPConn.Close()
}

// SetReadDeadline implements net.Conn; see deadline.
func (m *member) SetReadDeadline(t time.Time) error { return m.reading.put(t) }

// SetWriteDeadline implements net.Conn; see deadline.
func (m *member) SetWriteDeadline(t time.Time) error { return m.writing.put(t) }

// SetDeadline implements net.Conn; see deadline.
func (m *member) SetDeadline(t time.Time) error {
	return errors.Join(m.SetReadDeadline(t), m.SetWriteDeadline(t))
}

// noteState is an http.Server.ConnState.
func noteState(c net.Conn, state http.ConnState) {
	m := memberOf(c)
	switch state {
	case http.StateActive:
		m.busy.Store(true)
	case http.StateIdle:
		m.begin()
		m.bodies.Store(0)
		m.busy.Store(false)
	}
}

// memberOf is the connection, below TLS if there is any.
func memberOf(c net.Conn) *member {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*member) // all connections of a crowd's listener are
}

// begin notes that it keeps us waiting from now on; a stranger has from the
// beginning.
func (m *member) begin() {
	if m.known.Load() {
		m.since.Store(time.Now().UnixNano())
	}
}

type memberKey struct{}

// withMember is an http.Server.ConnContext.
func withMember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, memberKey{}, memberOf(c))
}

// LetIn makes known to the listener that a caller was let in on a connection:
// those on which nobody was yet are closed first when there are too many.
func LetIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if m, ok := c.Request().Context().Value(memberKey{}).(*member); ok && !m.known.Load() {
			m.known.Store(true)
		}
		return next(c)
	}
}

// expecting passes requests on to the handler, and keeps count of those whose
// bodies are still to come.
func expecting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, ok := r.Context().Value(memberKey{}).(*member)
		if r.ContentLength == 0 || !ok {
			h.ServeHTTP(w, r)
			return
		}
		sent := r.Body
		b := &body{ReadCloser: sent, member: m}
		m.begin()
		m.bodies.Add(1)
		r.Body = b
		h.ServeHTTP(w, r)
		r.Body = sent
		if !b.ended { // it counts until the connection is idle again
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardFor))
		}
	})
}

// body is a request's. It is read by one goroutine.
type body struct {
	io.ReadCloser
	member *member
	ended  bool
}

func (b *body) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	if err != nil && !b.ended {
		b.ended = true
		b.member.bodies.Add(-1)
	}
	return n, err
}
