package server_test

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/server"
)

// An observer counts nothing.
type observer struct{}

func (observer) Operation(string, string) func(server.Exchange) { return func(server.Exchange) {} }

// A tracer collects the routes of requests, and passes a value on in their contexts.
type tracer struct {
	observer
	routes *[]string
}

type traceKey struct{}

func (o tracer) Begin(r *http.Request, route string) (context.Context, func(server.Exchange)) {
	return context.WithValue(r.Context(), traceKey{}, route), func(e server.Exchange) {
		if got := e.Request.Context().Value(traceKey{}); got != route {
			panic("the exchange has another context")
		}
		*o.routes = append(*o.routes, route)
	}
}

func watched(o server.Observer) *echo.Echo {
	w := server.NewWatch(o)
	e := server.NewEcho(answer, w, slog.New(slog.DiscardHandler))
	e.GET("/tea/:id", func(c echo.Context) error {
		if _, traced := o.(server.Tracer); traced && c.Request().Context().Value(traceKey{}) == nil {
			panic("the handler has another context")
		}
		return c.NoContent(http.StatusNoContent)
	})
	w.Routes(e.Routes(), func(string, string) string { return "tea" })
	e.GET("/coffee/:id", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }) // has no operation
	return e
}

func TestTracerGetsTemplatesAndNoPaths(t *testing.T) {
	var routes []string
	e := watched(tracer{routes: &routes})
	for _, path := range []string{"/tea/hunter2", "/hunter2", "/coffee/hunter2", "/"} {
		ask(e, "GET", path)
		ask(e, "BREW", path)
	}
	if want := []string{"/tea/:id", "/tea/:id", "", "", "", "", "", ""}; !slices.Equal(routes, want) {
		t.Errorf("got %q, want %q", routes, want)
	}
}

func TestWatchWithoutATracerAllocatesNothing(t *testing.T) {
	count := func(o server.Observer) float64 {
		e := watched(o)
		r := httptest.NewRequest("GET", "/tea/green", nil)
		least := math.Inf(1)
		for range 50 { // under the race detector a sync.Pool forgets at random
			least = min(least, testing.AllocsPerRun(1, func() { e.ServeHTTP(httptest.NewRecorder(), r) }))
		}
		return least
	}
	var routes []string
	without, observed, traced := count(nil), count(observer{}), count(tracer{routes: &routes})
	if observed != without || traced <= without {
		t.Errorf("%v allocations a request without an observer, %v with one, %v with a tracer", without, observed, traced)
	}
}
