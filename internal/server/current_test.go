package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/server"
)

// A policy answers with its number, and with 500 after it is closed.
type policy struct {
	number int
	closed atomic.Int32
	meet   func() // called for each request before it is answered
}

func (p *policy) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if p.meet != nil {
		p.meet()
	}
	if p.closed.Load() > 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = fmt.Fprint(w, p.number)
}

func (p *policy) TLS() *tls.Config { return nil }

func (p *policy) Close() error {
	p.closed.Add(1)
	return io.ErrClosedPipe // the caller must log this
}

func answerOf(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	return w
}

func TestRequestFinishesUnderThePolicyItBeganWith(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	first := &policy{number: 1, meet: func() { close(began); <-finish }}
	c := server.NewCurrent(first, discard)
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- answerOf(c) }()
	<-began
	second := &policy{number: 2}
	c.Put(second)
	if got := answerOf(c).Body.String(); got != "2" {
		t.Errorf("a request after the replacement is answered by policy %s", got)
	}
	if first.closed.Load() > 0 {
		t.Error("the first policy was closed while its request was running")
	}
	close(finish)
	if w := <-answered; w.Code != 200 || w.Body.String() != "1" {
		t.Errorf("the request in progress got %d %s", w.Code, w.Body)
	}
	if first.closed.Load() != 1 || second.closed.Load() != 0 {
		t.Errorf("policies were closed %d and %d times, want 1 and 0", first.closed.Load(), second.closed.Load())
	}
	_ = c.Close()
	if second.closed.Load() != 1 {
		t.Error("the last policy was not closed")
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a request after Close was answered")
		}
	}()
	answerOf(c)
}

func TestNoRequestIsServedByAClosedPolicy(t *testing.T) {
	c := server.NewCurrent(&policy{}, discard)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if w := answerOf(c); w.Code != 200 {
					t.Errorf("policy %s was closed", w.Body)
					return
				}
			}
		})
	}
	var all []*policy
	for n := range 10_000 {
		all = append(all, &policy{number: n})
		c.Put(all[n])
	}
	close(stop)
	wg.Wait()
	_ = c.Close()
	for _, p := range all {
		if got := p.closed.Load(); got != 1 {
			t.Errorf("policy %d was closed %d times", p.number, got)
		}
	}
}

func BenchmarkCurrent(b *testing.B) {
	nothing := nothing{}
	c := server.NewCurrent(nothing, discard)
	for name, h := range map[string]http.Handler{"with": c, "without": nothing} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					h.ServeHTTP(nil, nil)
				}
			})
		})
	}
}

type nothing struct{}

func (nothing) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (nothing) TLS() *tls.Config                             { return nil }
func (nothing) Close() error                                 { return nil }
