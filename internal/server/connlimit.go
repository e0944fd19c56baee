package server

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// unfinishedShare: when stalled and unauthenticated connections take
	// 1/unfinishedShare of the limit, they are closed before idle ones.
	unfinishedShare = 2
	// evictedShare: one eviction frees 1/evictedShare of the limit, so that the
	// connections are not sorted again for each new one.
	evictedShare = 32
	// receivedPlace is the number of received bytes that count as one
	// connection.
	receivedPlace = 8 << 10
	// roomEvery is the interval between two attempts to make room.
	roomEvery = 20 * time.Millisecond
	// evictionLogEvery is the minimum time between two log lines about
	// evictions.
	evictionLogEvery = 10 * time.Second
	// unauthenticatedBuffer is the kernel's send buffer of a new connection, in
	// bytes. Linux would let the buffer of an unread connection grow to
	// megabytes. See growSendBuffer.
	unauthenticatedBuffer = 32 << 10
)

// connLimiter caps open connections and closes the stalest when full.
//
// A connection is working while a handler runs and is not waiting for its
// client. Working connections are never closed. A connection is idle after an
// authenticated request. All other connections are unfinished: in a handshake,
// sending headers or a body, not reading an answer, or without an authenticated
// request so far. Unfinished connections are closed first if they take half of
// the limit, otherwise idle ones; the longest stalled go first. If all are
// working, a new connection waits in the kernel's queue.
//
// As a result, a flood of stalled connections evicts only stalled connections,
// idle clients stay connected, and new clients are served.
//
// Before a connection is authenticated, each HTTP/2 request in flight counts as
// a further connection, and so does each receivedPlace bytes received. This way
// the limit also bounds the memory held by unread answers and bodies.
type connLimiter struct {
	*net.TCPListener
	limit int
	log   *slog.Logger
	total *atomic.Uint64 // closed connections; may be nil

	evicting  sync.Mutex // held by the goroutine that evicts; guards fruitless
	fruitless time.Time  // when an eviction last found no candidate

	mu      sync.Mutex // guards the fields below, and conn.load
	conns   map[*conn]struct{}
	extra   int // places that connections take in addition, as described above
	closed  bool
	evicted evictions
}

func newConnLimiter(l *net.TCPListener, limit int, log *slog.Logger) *connLimiter {
	c := &connLimiter{TCPListener: l, limit: limit, log: log, conns: map[*conn]struct{}{}}
	go c.watch()
	return c
}

// watch enforces deadlines, closes connections idle for too long, and logs
// evictions, until the last connection ends.
func (l *connLimiter) watch() {
	tick := time.NewTicker(deadlineStep)
	defer tick.Stop()
	for now := range tick.C {
		conns, closed := l.open()
		l.logEvictions(now)
		if closed && len(conns) == 0 {
			return
		}
		for _, c := range conns {
			c.reading.enforce(now)
			c.writing.enforce(now)
			c.endIdle(now)
		}
	}
}

func (l *connLimiter) open() (all []*conn, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.conns)), l.closed
}

// Accept waits for a connection, and until there is room for it.
func (l *connLimiter) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if outOfFiles(err) && l.evict() {
			continue
		}
		if err != nil {
			return nil, err
		}
		for waits := false; !l.makeRoom(1); waits = true {
			if !waits {
				l.noteWait()
			}
			time.Sleep(roomEvery)
		}
		return l.add(c), nil
	}
}

// outOfFiles reports whether the process or the machine ran out of file
// descriptors.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// makeRoom evicts connections if necessary, and reports whether the given number of
// places is free. It returns true for a closed listener.
func (l *connLimiter) makeRoom(places int) bool {
	l.evicting.Lock() // otherwise several goroutines would evict for the same places
	defer l.evicting.Unlock()
	if l.room(places) {
		return true
	}
	if time.Since(l.fruitless) < roomEvery { // do not search again for each of thousands of waiting requests
		return false
	}
	if l.evict() {
		return true
	}
	l.fruitless = time.Now()
	return false
}

func (l *connLimiter) room(places int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || len(l.conns)+l.extra+places <= l.limit
}

// Close also ends the wait in Accept.
func (l *connLimiter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.TCPListener.Close()
}

func (l *connLimiter) add(tcp *net.TCPConn) *conn {
	_ = tcp.SetWriteBuffer(unauthenticatedBuffer) // fails only if the connection is closed
	c := &conn{TCPConn: tcp, limiter: l, reading: deadline{set: tcp.SetReadDeadline}, writing: deadline{set: tcp.SetWriteDeadline}}
	c.since.Store(time.Now().UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c
}

func (l *connLimiter) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.extra -= c.load.places()
	c.load = load{closed: true}
}

// load counts the requests and bytes that the client of an unauthenticated
// connection makes the server hold.
type load struct {
	requests, received int
	closed             bool // the connection is no longer counted
}

func (d load) places() int { return d.requests + d.received/receivedPlace }

// hold changes the load of a connection, unless it was closed, and reports
// whether the connection now takes more places.
func (l *connLimiter) hold(c *conn, change func(*load)) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.load.closed {
		return false
	}
	before := c.load.places()
	change(&c.load)
	l.extra += c.load.places() - before
	return c.load.places() > before
}

// addRequest counts a request until removeRequest is called, and waits for
// room. It returns false if the connection was closed meanwhile.
func (l *connLimiter) addRequest(c *conn) bool {
	if l.hold(c, func(d *load) { d.requests++ }) {
		l.waitForRoom(c)
	}
	return !l.gone(c)
}

func (l *connLimiter) removeRequest(c *conn) { l.hold(c, func(d *load) { d.requests-- }) }

// addReceived counts received bytes until forgetReceived is called, and waits
// for room. While it waits, TCP slows the client down.
func (l *connLimiter) addReceived(c *conn, n int) {
	if l.hold(c, func(d *load) { d.received += n }) {
		l.waitForRoom(c)
	}
}

func (l *connLimiter) waitForRoom(c *conn) {
	for !l.makeRoom(0) && !l.gone(c) {
		time.Sleep(roomEvery)
	}
}

// forgetReceived resets the count of received bytes when no request is in
// flight.
func (l *connLimiter) forgetReceived(c *conn) { l.hold(c, func(d *load) { d.received = 0 }) }

func (l *connLimiter) gone(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.load.closed
}

// evict closes some of the unfinished or idle connections, and reports whether
// it closed any.
func (l *connLimiter) evict() bool {
	now := time.Now().UnixNano()
	unfinished, idle, share := l.candidates(now)
	some, stalled := idle, false
	if share >= l.limit/unfinishedShare || len(idle) == 0 {
		some, stalled = unfinished, true
	}
	slices.SortFunc(some, func(a, b candidate) int { return cmp.Compare(b.weight, a.weight) })
	freed, closed := 0, 0
	for _, c := range some {
		if freed >= max(1, l.limit/evictedShare) {
			break
		}
		freed += c.places
		closed++
		if stalled {
			_ = c.SetLinger(0) // otherwise the kernel would keep the unread answer
		}
		_ = c.Close()
	}
	l.note(closed, stalled)
	return closed > 0
}

// A candidate is a connection that may be evicted. Its weight is the time it
// has been stalled, multiplied by the places it takes.
type candidate struct {
	*conn
	places int
	weight int64
}

// candidates returns the connections that may be evicted, and the number of
// places taken by unfinished or unauthenticated connections.
func (l *connLimiter) candidates(now int64) (unfinished, idle []candidate, share int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		places := 1 + c.load.places()
		k := candidate{c, places, (now - c.since.Load()) * int64(places)}
		switch phase := c.phase(now); {
		case phase == idlePhase:
			idle = append(idle, k)
		case phase == unfinishedPhase:
			unfinished = append(unfinished, k)
			share += places
		case !c.authenticated.Load():
			share += places
		}
	}
	return unfinished, idle, share
}

// evictions counts evictions between two log lines.
type evictions struct {
	stalled, idle, waits int
	logged               time.Time
}

func (l *connLimiter) note(closed int, stalled bool) {
	if l.total != nil {
		l.total.Add(uint64(max(closed, 0)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if stalled {
		l.evicted.stalled += closed
	} else {
		l.evicted.idle += closed
	}
}

func (l *connLimiter) noteWait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evicted.waits++
}

// logEvictions logs the counts since the last line, at most once per
// evictionLogEvery: clients can cause evictions without a credential.
func (l *connLimiter) logEvictions(now time.Time) {
	l.mu.Lock()
	e := l.evicted
	due := e.stalled+e.idle+e.waits > 0 && now.Sub(e.logged) >= evictionLogEvery
	if due {
		l.evicted = evictions{logged: now}
	}
	open := len(l.conns)
	l.mu.Unlock()
	if due {
		l.log.Warn("connection limit reached", "limit", l.limit, "open", open,
			"closed_stalled", e.stalled, "closed_idle", e.idle, "waited", e.waits)
	}
}
