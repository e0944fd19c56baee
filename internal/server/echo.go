package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// An Answer is the error response of an API: a status, and a body in the API's
// own dialect.
type Answer struct {
	Status int
	Header http.Header // may be nil
	Body   any         // encoded as JSON
}

// RetryAfter returns a Retry-After header with the time to wait before the next
// try, in whole seconds rounded up, at least 1 (RFC 9110, section 10.2.3).
func RetryAfter(d time.Duration) http.Header {
	seconds := (d + time.Second - 1) / time.Second
	return http.Header{"Retry-After": {strconv.Itoa(max(1, int(seconds)))}}
}

// NewEcho returns an echo with the middleware that every API shares: an id for
// each request, no caching, and errors answered in the API's dialect and
// logged. Then the gates run, in order, before the routed handler. Middleware
// added later with Use is never called.
//
// Errors with status 500 and above are logged, so they must not contain request
// data. For status 503 at most one error a second is logged: a client without a
// credential can cause it by sending tokens while their issuer is unavailable. The
// same holds for 507, since a full disk affects every request.
// A client that disconnects before it has the whole answer is not an error and
// is not logged. The watch may be nil.
func NewEcho(answer func(error) Answer, watch *Watch, log *slog.Logger, gates ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	seldom := map[int]*rate.Sometimes{
		http.StatusServiceUnavailable:  {First: 10, Interval: time.Second},
		http.StatusInsufficientStorage: {First: 10, Interval: time.Second},
	}
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		a := answer(err)
		switch {
		case hungUp(c, err):
		case seldom[a.Status] != nil:
			seldom[a.Status].Do(func() { logFailure(c, err, a, log) })
		case a.Status >= http.StatusInternalServerError:
			logFailure(c, err, a, log)
		}
		respond(c, a, log)
	}
	e.Use(asOne(append([]echo.MiddlewareFunc{watch.watch, serving}, gates...)))
	return e
}

// hungUp reports whether the request failed because its client had
// disconnected: the work for it was canceled, or the answer could not be sent.
func hungUp(c echo.Context, err error) bool {
	gone := c.Request().Context().Err() != nil // net/http cancels it when the connection closes
	return gone && (c.Response().Committed || errors.Is(err, context.Canceled))
}

// asOne combines the middleware into one function. Echo would combine it again
// for every request.
func asOne(middleware []echo.MiddlewareFunc) echo.MiddlewareFunc {
	whole := func(c echo.Context) error { return c.Handler()(c) }
	for _, m := range slices.Backward(middleware) {
		whole = m(whole)
	}
	return func(echo.HandlerFunc) echo.HandlerFunc { return whole }
}

func logFailure(c echo.Context, err error, a Answer, log *slog.Logger) {
	log.Error("request failed", "request", RequestID(c), "method", c.Request().Method, "route", c.Path(),
		"status", a.Status, "error", err)
}

func respond(c echo.Context, a Answer, log *slog.Logger) {
	if c.Response().Committed {
		return
	}
	for key, values := range a.Header {
		c.Response().Header()[key] = values
	}
	if err := WriteJSON(c.Response(), a.Status, a.Body); err != nil && c.Request().Context().Err() == nil {
		log.Error("answering", "request", RequestID(c), "error", err)
	}
}

// Values of headers that every answer has, shared by all of them to save
// allocations. They must not be changed in place. The names are set in
// canonical form.
var (
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	applicationJSON = []string{"application/json"}
)

// Identify sets the headers that every answer has, and returns the request's id.
func Identify(h http.Header) (id string) {
	id = newRequestID()
	h["X-Request-Id"] = []string{id}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	return id
}

// errPanic marks an error made from a panic. The value of the panic is not
// logged, since it could be a secret. The stack has only addresses.
var errPanic = errors.New("panic")

// serving gives the request an id, keeps its answer out of caches, and turns a
// panic into an error.
func serving(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		c.Response().Writer = identifiedWriter{c.Response().Writer, Identify(c.Response().Header())}
		defer func() {
			switch p := recover(); {
			case p == nil:
			case p == http.ErrAbortHandler:
				panic(p) // the way a handler asks net/http to close the connection
			default:
				err = fmt.Errorf("%w of type %T at %s", errPanic, p, stack())
			}
		}()
		return next(c)
	}
}

// stack returns the stack without the goroutine's header and this function.
func stack() string {
	_, s, _ := strings.Cut(string(debug.Stack()), "panic(")
	return s
}
