package main_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	counters   = 64 // number of clients
	countsEach = 3
)

// Each client reads the current number and writes the next one, if it is
// unchanged.
func TestNoUpdateIsLostAmong64Writers(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"counter","data":[{"key":"n","value":"0"}]}`)
	var outdated atomic.Int64
	var writing sync.WaitGroup
	numbers := make([][]int, counters) // numbers written by each client
	for n := range counters {
		writing.Go(func() {
			for len(numbers[n]) < countsEach && !t.Failed() {
				if number, ok := countOn(t, p, i); ok {
					numbers[n] = append(numbers[n], number)
				} else {
					outdated.Add(1)
				}
			}
		})
	}
	writing.Wait()
	written := slices.Sorted(slices.Values(slices.Concat(numbers...)))
	for at, number := range written {
		if number != at+1 {
			t.Fatalf("updates were lost: the numbers written are %v", written)
		}
	}
	if last, _ := readCounter(t, p, i); last != counters*countsEach {
		t.Errorf("the number is %d after %d updates", last, counters*countsEach)
	}
	t.Logf("%d writers, %d updates, %d refused with 412, none lost", counters, len(written), outdated.Load())
	if outdated.Load() == 0 {
		t.Error("no two clients ever conflicted")
	}
}

// countOn adds 1 to the number and returns the result; ok is false if another client was
// faster.
func countOn(t *testing.T, p *process, i install) (number int, ok bool) {
	n, etag := readCounter(t, p, i)
	body := fmt.Sprintf(`{"data":[{"key":"n","value":"%d"}]}`, n+1)
	a, err := p.send(t, request{"PUT", app + "/counter", []string{i.pskHeader(), "If-Match: " + etag}, body})
	if err != nil || (a.status != 200 && a.status != 412) {
		t.Errorf("status %d, %v: %s", a.status, err, a.body)
	}
	return n + 1, a.status == 200
}

func readCounter(t *testing.T, p *process, i install) (n int, etag string) {
	a, err := p.send(t, request{"GET", app + "/counter/reveal", []string{i.pskHeader()}, ""})
	if err != nil || a.status != 200 {
		t.Errorf("status %d, %v: %s", a.status, err, a.body)
	}
	var d nx1Detail
	mustDecode(t, a.body, &d)
	_, err = fmt.Sscanf(d.content(), "n=%d", &n)
	if err != nil {
		t.Error(err)
	}
	return n, a.header.Get("ETag")
}
