package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// stallGrace is how long an authenticated connection may wait for its client
// before it counts as stalled. Even a fast client needs a moment.
const stallGrace = 500 * time.Millisecond

// A phase says whether a connection may be evicted, and how early.
type phase int

const (
	workingPhase phase = iota
	idlePhase
	unfinishedPhase
)

// A conn is a connection that a connLimiter counts.
type conn struct {
	*net.TCPConn
	limiter       *connLimiter
	authenticated atomic.Bool  // at least one request was authenticated
	idleSince     atomic.Int64 // nanoseconds of Unix time; 0 while a request is in flight
	working       atomic.Int32 // handlers that are not waiting for the client
	since         atomic.Int64 // when it began to wait for the client, in nanoseconds of Unix time

	settled bool // see settle; used by ConnState only
	load    load // guarded by the limiter's mutex

	reading, writing deadline
}

// phase returns the phase at a time in nanoseconds of Unix time.
func (c *conn) phase(now int64) phase {
	switch {
	case c.working.Load() > 0:
		return workingPhase
	case !c.authenticated.Load():
		return unfinishedPhase
	case c.idleSince.Load() != 0:
		return idlePhase
	case now-c.since.Load() < int64(stallGrace):
		return workingPhase
	}
	return unfinishedPhase
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.limiter.remove(c)
	return c.TCPConn.Close()
}

// Read implements net.Conn; see connLimiter.
func (c *conn) Read(p []byte) (n int, err error) {
	n, err = c.TCPConn.Read(p)
	if n > 0 && !c.authenticated.Load() {
		c.limiter.addReceived(c, n)
	}
	return n, err
}

// SetReadDeadline implements net.Conn; see deadline.
func (c *conn) SetReadDeadline(t time.Time) error { return c.reading.put(t) }

// SetWriteDeadline implements net.Conn; see deadline.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.writing.put(t) }

// SetDeadline implements net.Conn; see deadline.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// resume records that a handler has work to do.
func (c *conn) resume() { c.working.Add(1) }

// wait records that a handler waits for the client, or has ended.
func (c *conn) wait(now time.Time) {
	c.touch(now)
	c.working.Add(-1)
}

// touch restarts the time that the connection has waited for its client.
// Without authentication, data from the client does not restart it: the time
// then counts from the moment the connection was accepted.
func (c *conn) touch(now time.Time) {
	if c.authenticated.Load() {
		c.since.Store(now.UnixNano())
	}
}

// noteState is an http.Server.ConnState.
func noteState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		limited := limitedConn(c)
		limited.touch(time.Now())
		limited.idleSince.Store(0)
	case http.StateIdle:
		limited, now := limitedConn(c), time.Now()
		limited.touch(now)
		limited.idleSince.Store(now.UnixNano())
		limited.settle()
	}
}

// endIdle closes a connection that has been idle for idleTimeout.
func (c *conn) endIdle(now time.Time) {
	if since := c.idleSince.Load(); since != 0 && now.Sub(time.Unix(0, since)) > idleTimeout {
		_ = c.Close()
	}
}

// settle resets the count of received bytes, since no request is in flight.
func (c *conn) settle() {
	if !c.settled {
		c.settled = c.authenticated.Load() // nothing is counted from now on
		c.limiter.forgetReceived(c)
	}
}

// limitedConn returns the limiter's connection, below TLS if there is any.
func limitedConn(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*conn) // the listener accepts only this type
}

type connKey struct{}

// withConn is an http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, limitedConn(c))
}

// connOf returns the connection of a request, or nil without a connection
// limit.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// MarkAuthenticated tells the connection limiter that a request was
// authenticated. Connections without such a request are evicted first.
func MarkAuthenticated(r *http.Request) {
	if c := connOf(r); c != nil && !c.authenticated.Load() {
		growSendBuffer(c.TCPConn)
		c.authenticated.Store(true)
	}
}
