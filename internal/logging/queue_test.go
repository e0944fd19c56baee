package logging_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/logging"
)

// A gate is a writer whose reader can stall or disappear.
type gate struct {
	mu   sync.Mutex
	text strings.Builder
	open chan struct{} // closed: writes go through
	err  error
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	return g.text.Write(p)
}

func (g *gate) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

func open() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func TestCloseWritesEveryQueuedLineInOrder(t *testing.T) {
	g := open()
	q := logging.NewQueue(g, logging.Text)
	var want strings.Builder
	for n := range 100 {
		fmt.Fprintf(io.MultiWriter(q, &want), "line %d\n", n)
	}
	if err := q.Close(); err != nil || g.String() != want.String() {
		t.Errorf("%v; got\n%s", err, g.String())
	}
}

func TestStalledReaderBlocksNoWriteAndDropsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := logging.NewQueue(g, logging.Text)
		line := strings.Repeat("x", 1023) + "\n"
		start := time.Now()
		for range 2000 {
			_, _ = io.WriteString(q, line)
			synctest.Wait()
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("2000 lines took %s", waited)
		}
		close(g.open)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		written := strings.Count(g.String(), line)
		if report := fmt.Sprintf("lines=%d\n", 2000-written); written < 200 || written > 600 || !strings.HasSuffix(g.String(), report) {
			t.Errorf("%d lines were written, and the last line is %q", written, g.String()[strings.LastIndex(g.String(), "time="):])
		}
		if got := q.Dropped(); got != uint64(2000-written) {
			t.Errorf("%d lines were dropped, want %d", got, 2000-written)
		}
	})
}

func TestLinesLostToAWriteErrorAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := open()
		g.fail(errors.New("broken pipe"))
		q := logging.NewQueue(g, logging.Text)
		for range 3 {
			_, _ = io.WriteString(q, "lost\n")
			synctest.Wait()
		}
		g.fail(nil)
		_, _ = io.WriteString(q, "written\n")
		if err := q.Close(); err != nil || !strings.HasPrefix(g.String(), "written\n") || !strings.HasSuffix(g.String(), "lines=3\n") || q.Dropped() != 3 {
			t.Errorf("%v; %d lines dropped; got\n%s", err, q.Dropped(), g.String())
		}
	})
}

func TestReportHasTheFormOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := logging.NewQueue(g, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) })
		_, _ = io.WriteString(q, strings.Repeat("x", 1<<20)+"\n") // too long for the queue
		close(g.open)
		if err := q.Close(); err != nil || !strings.HasSuffix(g.String(), `,"lines":1}`+"\n") {
			t.Errorf("%v; got %s", err, g.String())
		}
	})
}

func TestCloseGivesUpOnAStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := logging.NewQueue(g, logging.Text)
		_, _ = io.WriteString(q, "line\n")
		start := time.Now()
		if err := q.Close(); !errors.Is(err, logging.ErrNotFlushed) || time.Since(start) != time.Second {
			t.Errorf("%v after %s, want ErrNotFlushed after 1s", err, time.Since(start))
		}
		close(g.open)
	})
}
