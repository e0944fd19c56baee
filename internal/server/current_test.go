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

// A policy answers with its number, and with 500 once it is closed.
type policy struct {
	number int
	closed atomic.Int32
	meet   func() // called by each request, before it is answered
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
	return io.ErrClosedPipe // which the caller logs
}

func answerOf(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	return w
}

func TestARequestEndsUnderThePolicyThatItBeganUnder(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	first := &policy{number: 1, meet: func() { close(began); <-finish }}
	c := server.NewCurrent(first, discard)
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- answerOf(c) }()
	<-began
	second := &policy{number: 2}
	c.Put(second)
	if got := answerOf(c).Body.String(); got != "2" {
		t.Errorf("a request behind the change is answered by %s", got)
	}
	if first.closed.Load() > 0 {
		t.Error("the first is closed below its request")
	}
	close(finish)
	if w := <-answered; w.Code != 200 || w.Body.String() != "1" {
		t.Errorf("the request under way got %d %s", w.Code, w.Body)
	}
	if first.closed.Load() != 1 || second.closed.Load() != 0 {
		t.Errorf("closed %d and %d times", first.closed.Load(), second.closed.Load())
	}
	_ = c.Close()
	if second.closed.Load() != 1 {
		t.Error("the last one stays open")
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a request is answered behind the end")
		}
	}()
	answerOf(c)
}

func TestNoRequestMeetsAClosedPolicy(t *testing.T) {
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
