// Package logging writes log lines without blocking: a full pipe or a stopped terminal
// must not stop the server.
package logging

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// queueBytes limits the queued lines. The write in progress can hold as many again.
	queueBytes = 256 << 10
	// flushWithin limits how long Close waits for queued lines.
	flushWithin = time.Second
)

// ErrNotFlushed means that Close gave up with lines still queued.
var ErrNotFlushed = errors.New("log lines were not written: the reader of the log has stalled")

// A Queue is a writer that never blocks. A goroutine writes the lines to the underlying
// writer. Lines that do not fit into the queue, or that cannot be written, are dropped
// and counted, and a later line reports the count. It is safe for concurrent use.
type Queue struct {
	out  io.Writer
	form func(io.Writer) slog.Handler
	wake chan struct{} // holds one token while there may be work
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards the fields below; never held while writing
	lines   []byte
	dropped int // since the last report
	total   uint64
	closed  bool
}

// Text is the form of slog's text lines.
func Text(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

// NewQueue returns a queue in front of out, which reports dropped lines in this form.
// Close it to flush it.
func NewQueue(out io.Writer, form func(io.Writer) slog.Handler) *Queue {
	q := &Queue{out: out, form: form, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues whole lines. It always succeeds: a dropped line is counted.
func (q *Queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	if q.closed || len(q.lines)+len(lines) > queueBytes {
		q.dropLocked(countLines(lines))
	} else {
		q.lines = append(q.lines, lines...)
	}
	q.mu.Unlock()
	q.wakeUp()
	return len(lines), nil
}

func (q *Queue) dropLocked(lines int) {
	q.dropped += lines
	q.total += uint64(lines) // #nosec G115 -- not negative
}

// Dropped returns the number of all dropped lines.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// Close waits up to a second until every queued line is written, or returns
// ErrNotFlushed. Lines written after Close are dropped.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wakeUp()
	select {
	case <-q.done:
		return nil
	case <-time.After(flushWithin):
		return ErrNotFlushed
	}
}

func (q *Queue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default: // already signalled
	}
}

func (q *Queue) run() {
	defer close(q.done)
	for range q.wake {
		lines, dropped, closed := q.take()
		q.write(lines, dropped)
		if closed {
			return
		}
	}
}

// take empties the queue. The dropped lines came after the queued ones.
func (q *Queue) take() (lines []byte, dropped int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, dropped, closed = q.lines, q.dropped, q.closed
	q.lines, q.dropped = nil, 0
	return lines, dropped, closed
}

// write adds the lines that it cannot write to the dropped ones.
func (q *Queue) write(lines []byte, dropped int) {
	if dropped > 0 {
		lines = append(lines, q.report(dropped)...)
	}
	n, err := q.out.Write(lines)
	if err == nil {
		return
	}
	unwritten := countLines(lines[n:])
	q.mu.Lock()
	defer q.mu.Unlock()
	if dropped > 0 {
		unwritten-- // the report itself is not a lost line
		q.dropped += dropped
	}
	q.dropLocked(unwritten)
}

func (q *Queue) report(dropped int) []byte {
	var line bytes.Buffer
	slog.New(q.form(&line)).Warn("log lines were dropped, because they could not be written", "lines", dropped)
	return line.Bytes()
}

func countLines(text []byte) int { return bytes.Count(text, []byte("\n")) }
