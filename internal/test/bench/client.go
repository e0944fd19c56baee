package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// An operation is one kind of request, sent repeatedly.
type operation struct {
	part     string   // of [parts]
	name     string   // for people
	requests [][]byte // encoded, sent in this order
	answer   answer   // to each request
	build    func(dialect) [][]byte
	fresh    func() []byte // instead of requests, if each may be sent only once
}

// next returns the n-th request of a connection.
func (op *operation) next(n int) []byte {
	if op.fresh != nil {
		return op.fresh()
	}
	return op.requests[n%len(op.requests)]
}

func newOperation(part, name string, build func(dialect) [][]byte, d dialect) *operation {
	return &operation{part: part, name: name, requests: build(d), build: build}
}

// in returns the operation with the same requests in another dialect.
func (op *operation) in(d dialect) *operation {
	other := *op
	if op.fresh != nil {
		other.fresh = d.freshCreates()
	} else {
		other.requests = op.build(d)
	}
	return &other
}

// An answer is the server's answer to the first request.
type answer struct {
	Header http.Header
	Body   []byte
}

// A client keeps connections to one server alive.
type client struct {
	address string
	dial    func(address string) (wire, error)
	conns   []*conn
}

// A conn sends requests in turn.
type conn struct {
	wire
	next int // index of the next request
}

// A wire is a connection.
type wire interface {
	// exchange sends a request and returns when the server has confirmed it.
	exchange(request []byte) error
	SetDeadline(time.Time) error
	Close() error
}

// An http1 implements only the part of HTTP/1.1 that it needs to send a request and
// recognize its answer, which leaves the CPU to the measured program.
type http1 struct {
	net.Conn
	buf []byte
}

func dialHTTP(address string) (wire, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &http1{nc, make([]byte, 64<<10)}, nil
}

func newClient(address string) *client { return &client{address: address, dial: dialHTTP} }

var statusLine = []byte("HTTP/1.1 200 ")

// patience is the timeout for one answer.
const patience = 20 * time.Second

// use returns count connections of the client, and opens new ones if needed.
func (c *client) use(count int) ([]*conn, error) {
	for len(c.conns) < count {
		w, err := c.dial(c.address)
		if err != nil {
			return nil, err
		}
		// Each connection starts at a different request.
		c.conns = append(c.conns, &conn{w, 157 * len(c.conns)})
	}
	return c.conns[:count], nil
}

func (c *client) close() {
	for _, nc := range c.conns {
		_ = nc.Close()
	}
}

// exchange sends a request and reads the answer, which must be a 200.
func (c *http1) exchange(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	for n := 0; n == 0 || n != lengthOf(c.buf[:n]); {
		if n == len(c.buf) {
			return fmt.Errorf("the answer does not end within %d bytes", n)
		}
		more, err := c.Read(c.buf[n:])
		if err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		n += more
		if n >= len(statusLine) && !bytes.HasPrefix(c.buf[:n], statusLine) {
			return fmt.Errorf("the answer was %q", firstLine(c.buf[:n]))
		}
		if want := lengthOf(c.buf[:n]); want > 0 && n > want {
			return fmt.Errorf("the answer has %d bytes instead of %d", n, want)
		}
	}
	return nil
}

// lengthOf returns the total length of an answer from its beginning, or 0 if its
// Content-Length has not arrived yet.
func lengthOf(begun []byte) int {
	head, _, whole := bytes.Cut(begun, []byte("\r\n\r\n"))
	_, length, says := bytes.Cut(head, []byte("\r\nContent-Length: "))
	n, err := strconv.Atoi(string(firstLine(length)))
	if !whole || !says || err != nil {
		return 0
	}
	return len(head) + len("\r\n\r\n") + n
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	return line
}

// exchangeUntil sends requests one after another until end, and returns the
// durations of those sent after start.
func (c *conn) exchangeUntil(start, end time.Time, op *operation) ([]time.Duration, error) {
	if err := c.SetDeadline(end.Add(patience)); err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, 1<<16)
	sent := time.Now()
	for sent.Before(end) {
		request := op.next(c.next)
		c.next++
		if err := c.exchange(request); err != nil {
			return nil, fmt.Errorf("%s: %w", op.name, err)
		}
		now := time.Now()
		if !sent.Before(start) {
			took = append(took, now.Sub(sent))
		}
		sent = now
	}
	return took, nil
}

// load sends requests over count connections until end.
func (c *client) load(start, end time.Time, op *operation, count int) ([]time.Duration, error) {
	conns, err := c.use(count)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	took, errs := make([][]time.Duration, count), make([]error, count)
	for i, nc := range conns {
		wg.Go(func() { took[i], errs[i] = nc.exchangeUntil(start, end, op) })
	}
	wg.Wait()
	var all []time.Duration
	for _, t := range took {
		all = append(all, t...)
	}
	return all, errors.Join(errs...)
}

// each sends every request of the operation once.
func (c *client) each(op *operation, count int) error {
	conns, err := c.use(count)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, count)
	for i, nc := range conns {
		wg.Go(func() {
			for at := i; at < len(op.requests) && errs[i] == nil; at += count {
				if errs[i] = nc.SetDeadline(time.Now().Add(patience)); errs[i] != nil {
					return
				}
				errs[i] = nc.exchange(op.requests[at])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// ask sends one request and returns the answer.
func ask(address string, request []byte) (answer, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return answer{}, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := nc.Write(request); err != nil {
		return answer{}, fmt.Errorf("sending a request: %w", err)
	}
	return readAnswer(nc)
}

func readAnswer(from net.Conn) (answer, error) {
	r, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		return answer{}, fmt.Errorf("reading an answer: %w", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return answer{}, errors.Join(fmt.Errorf("the answer was %s: %s", r.Status, body), err)
	}
	r.Header.Del("Date") // net/http adds it in every server
	return answer{r.Header, body}, nil
}
