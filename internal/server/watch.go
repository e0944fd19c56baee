package server

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// An Observer watches the requests of one API, for metrics and the access log.
type Observer interface {
	// Operation returns the function to call after each answer of an operation. It is
	// called once for each operation of the API's document, and with an empty id for
	// requests that have none.
	Operation(method, id string) func(Exchange)
}

// A Tracer is an Observer that also knows the beginning of each request.
type Tracer interface {
	Observer
	// Begin is called with the template of the request's route, which is empty for requests
	// without an operation. The request continues with the returned context. End is called
	// after its answer.
	Begin(r *http.Request, route string) (ctx context.Context, end func(Exchange))
}

// An Exchange is an answered request.
type Exchange struct {
	// Request has the caller in its context, if it was authenticated.
	Request *http.Request
	// ID is the request's id.
	ID string
	// Status is the status of the answer.
	Status int
	// Bytes is the size of the answer's body.
	Bytes int64
	// Took is the time from the routing of its headers until the answer was written.
	Took time.Duration
}

// A Watch calls an Observer for the requests of an echo. A nil Watch does nothing.
type Watch struct {
	observer Observer
	tracer   Tracer                               // nil if the observer is none
	known    map[string]map[string]func(Exchange) // by echo's path template, then by method
	other    func(Exchange)
}

// NewWatch returns a Watch for [NewEcho], or nil without an observer.
func NewWatch(o Observer) *Watch {
	if o == nil {
		return nil
	}
	tracer, _ := o.(Tracer)
	return &Watch{observer: o, tracer: tracer, known: map[string]map[string]func(Exchange){}, other: o.Operation("", "")}
}

// Routes sets the operations of the routes. Call it before the first request. Id
// returns the id of an operation.
func (w *Watch) Routes(routes []*echo.Route, id func(method, path string) string) {
	if w == nil {
		return
	}
	for _, r := range routes {
		if w.known[r.Path] == nil {
			w.known[r.Path] = map[string]func(Exchange){}
		}
		w.known[r.Path][r.Method] = w.observer.Operation(r.Method, id(r.Method, r.Path))
	}
}

// clock is any time: time.Since reads only one of the two clocks of time.Now.
var clock = time.Now()

// watch answers an error itself, so that the status is known.
func (w *Watch) watch(next echo.HandlerFunc) echo.HandlerFunc {
	if w == nil {
		return next
	}
	return func(c echo.Context) error {
		began := time.Since(clock)
		var end func(Exchange)
		if w.tracer != nil {
			end = w.begin(c)
		}
		if err := next(c); err != nil {
			c.Error(err)
		}
		answered := w.known[c.Path()][c.Request().Method]
		if answered == nil {
			answered = w.other
		}
		e := Exchange{c.Request(), RequestID(c), c.Response().Status, c.Response().Size, time.Since(clock) - began}
		answered(e)
		if end != nil {
			end(e)
		}
		return nil
	}
}

// begin tells the tracer of the request. Only templates of known routes reach a trace,
// because paths have names of secrets.
func (w *Watch) begin(c echo.Context) (end func(Exchange)) {
	route := c.Path()
	if w.known[route] == nil {
		route = ""
	}
	ctx, end := w.tracer.Begin(c.Request(), route)
	c.SetRequest(c.Request().WithContext(ctx))
	return end
}
