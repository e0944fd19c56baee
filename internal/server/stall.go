package server

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	// writeStall is the time that a client has to read writeChunk bytes of its
	// answer before the connection is closed. An answer that fits into the
	// buffers of kernel and client never stalls.
	writeStall = 5 * time.Second
	writeChunk = 16 << 10
	// discardFor limits the time to receive the unread rest of an HTTP/1.1
	// body. net/http waits for that rest before it answers.
	discardFor = time.Second
)

// trackStalls returns a handler that tells the connection limiter when h waits
// for the client, and aborts answers that the client does not read.
func trackStalls(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r)
		if !c.admit(r) {
			panic(http.ErrAbortHandler)
		}
		c.resume()
		e := &exchange{ResponseWriter: w, body: r.Body, conn: c}
		e.http2, e.received = r.ProtoMajor == 2, r.ContentLength == 0
		if !e.received {
			r.Body = requestBody{e}
			e.limitRead(time.Now(), readTimeout)
		}
		defer e.finish()
		h.ServeHTTP(e, r)
		r.Body = e.body
	})
}

// admit waits for a free place for an unauthenticated HTTP/2 request, which
// keeps the place until its answer is sent. It returns false if the connection
// was closed. See connLimiter.
func (c *conn) admit(r *http.Request) bool {
	if r.ProtoMajor == 1 || c.authenticated.Load() {
		return true
	}
	if !c.limiter.addRequest(c) {
		return false
	}
	context.AfterFunc(r.Context(), func() { c.limiter.removeRequest(c) })
	return true
}

// An exchange is a request with its answer. Only one goroutine uses it.
type exchange struct {
	http.ResponseWriter
	body     io.ReadCloser
	conn     *conn
	http2    bool
	received bool // the whole body was received
}

// Unwrap implements the unwrapping of http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// Write implements http.ResponseWriter. The client must read writeChunk bytes
// per writeStall.
func (e *exchange) Write(p []byte) (written int, err error) {
	e.discardBody()
	now := time.Now()
	e.conn.wait(now)
	defer e.conn.resume()
	for {
		chunk := p[written:min(len(p), written+writeChunk)]
		e.limitStall(now)
		n, err := e.ResponseWriter.Write(chunk)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
		now = time.Now()
	}
}

// limitStall gives the client writeStall to read what is written next.
func (e *exchange) limitStall(now time.Time) {
	by := now.Add(writeStall)
	if e.http2 { // each stream has deadlines of its own
		_ = http.NewResponseController(e.ResponseWriter).SetWriteDeadline(by)
		return
	}
	_ = e.conn.SetWriteDeadline(by)
}

// limitRead gives the client a time to send the body, or its unread rest.
func (e *exchange) limitRead(now time.Time, d time.Duration) {
	_ = http.NewResponseController(e.ResponseWriter).SetReadDeadline(now.Add(d))
}

// discardBody frees the buffered part of an unread HTTP/2 body, which would
// stay in memory while the client does not read the answer. Data that still
// arrives is dropped.
func (e *exchange) discardBody() {
	if e.http2 && !e.received {
		e.received = true
		_ = e.body.Close()
	}
}

// finish sets deadlines for the work that net/http does after the handler: it
// reads the rest of an HTTP/1.1 body and flushes the answer. Both wait for the
// client.
func (e *exchange) finish() {
	now := time.Now()
	e.discardBody()
	if !e.received {
		e.limitRead(now, discardFor)
	}
	e.limitStall(now)
	e.conn.wait(now)
}

// requestBody reads the body of an exchange.
type requestBody struct{ of *exchange }

// Read implements io.Reader.
func (b requestBody) Read(p []byte) (n int, err error) {
	b.of.conn.wait(time.Now())
	defer b.of.conn.resume()
	n, err = b.of.body.Read(p)
	b.of.received = b.of.received || err != nil
	return n, err
}

// Close implements io.Closer.
func (b requestBody) Close() error { return b.of.body.Close() }
