package main_test

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// atOnce starts workers and returns a function that waits for them.
func atOnce(workers int, do func(worker int)) (wait func()) {
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() { do(n) })
	}
	return wg.Wait
}

// A counter is a chain of secrets. Its client writes the same number to each
// secret in turn, then the next number. So in any snapshot no secret is ahead
// of the one before it, and the last is at most one behind the first.
type counter struct {
	install install
	name    string
	length  int
	sent    []atomic.Int64 // by position in the chain
	acked   []atomic.Int64
}

func newCounter(t *testing.T, p *process, i install, name string, length int) *counter {
	t.Helper()
	c := &counter{i, name, length, make([]atomic.Int64, length), make([]atomic.Int64, length)}
	for at := range length {
		body := fmt.Sprintf(`{"secret_name":%q,"data":[{"key":"n","value":"0"}]}`, c.secret(at))
		p.want(t, 200, "POST", app, i.pskHeader(), body)
	}
	return c
}

func (c *counter) secret(at int) string { return fmt.Sprintf("%s-%d", c.name, at) }

// count counts until stop is closed.
func (c *counter) count(t *testing.T, p *process, stop <-chan struct{}) {
	for n := int64(1); ; n++ {
		for at := range c.length {
			select {
			case <-stop:
				return
			default:
			}
			c.sent[at].Store(n)
			body := fmt.Sprintf(`{"data":[{"key":"n","value":"%d"}]}`, n)
			a, err := p.try(t, "PUT", app+"/"+c.secret(at), c.install.pskHeader(), body)
			if err != nil || a.status != 200 {
				t.Errorf("%s: status %d, %v: %s", c.secret(at), a.status, err, a.body)
				return
			}
			c.acked[at].Store(n)
		}
	}
}

func values(of []atomic.Int64) (numbers []int64) {
	for at := range of {
		numbers = append(numbers, of[at].Load())
	}
	return numbers
}

var numberRevealed = regexp.MustCompile(`"value":"(\d+)"`)

// reveal returns the numbers as a server reveals them.
func (c *counter) reveal(t *testing.T, p *process) (numbers []int64) {
	t.Helper()
	for at := range c.length {
		a := p.want(t, 200, "GET", app+"/"+c.secret(at)+"/reveal", c.install.pskHeader(), "")
		m := numberRevealed.FindStringSubmatch(a.body)
		if m == nil {
			t.Fatalf("%s reveals %s", c.secret(at), a.body)
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		numbers = append(numbers, n)
	}
	return numbers
}

// wantMoment checks that the numbers are a consistent snapshot: they include
// every write acknowledged before it, and no write sent after it.
func (c *counter) wantMoment(t *testing.T, got, before, after []int64) {
	t.Helper()
	for at := range got {
		if got[at] < before[at] || got[at] > after[at] {
			t.Errorf("%s is %d, want %d to %d", c.secret(at), got[at], before[at], after[at])
		}
		if at > 0 && (got[at] > got[at-1] || got[at] < got[0]-1) {
			t.Errorf("%s is at %v, which is not a possible snapshot", c.name, got)
		}
	}
}

// mustLoad starts 16 clients that count, and returns a function that stops
// them.
func mustLoad(t *testing.T, p *process, i install, length int) (counters []*counter, stop func()) {
	t.Helper()
	for n := range 16 {
		counters = append(counters, newCounter(t, p, i, fmt.Sprintf("c%02d", n), length))
	}
	done := make(chan struct{})
	wait := atOnce(len(counters), func(n int) { counters[n].count(t, p, done) })
	stop = sync.OnceFunc(func() { close(done); wait() })
	t.Cleanup(stop)
	return counters, stop
}
