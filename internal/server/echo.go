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

// An Answer is an error as an API tells it: a status, and a body in the API's
// own words.
type Answer struct {
	Status int
	Header http.Header // may be nil
	Body   any         // to be encoded as JSON
}

// RetryAfter is the header of an answer that says when to ask again, in whole
// seconds (RFC 9110, section 10.2.3).
func RetryAfter(d time.Duration) http.Header {
	seconds := (d + time.Second - 1) / time.Second
	return http.Header{"Retry-After": {strconv.Itoa(max(1, int(seconds)))}}
}

// NewEcho returns an echo with what every API shares: an id for each request,
// no caching, errors answered in the API's words and logged in ours. Behind
// that, and before what echo has routed to, come the gates in their order; what
// is added later with Use is never called.
//
// An error of status 500 and above is logged, so it must not hold what was sent;
// of many of status 503 one a second, since they have one cause, and whoever
// sends a token while its issuer is away causes one without a credential. That
// a client hangs up before or while it is answered is no error, and not logged.
func NewEcho(answer func(error) Answer, log *slog.Logger, gates ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	unavailable := &rate.Sometimes{First: 10, Interval: time.Second}
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		a := answer(err)
		switch {
		case hungUp(c, err):
		case a.Status == http.StatusServiceUnavailable:
			unavailable.Do(func() { logFailure(c, err, a, log) })
		case a.Status >= http.StatusInternalServerError:
			logFailure(c, err, a, log)
		}
		respond(c, a, log)
	}
	e.Use(asOne(append([]echo.MiddlewareFunc{serving}, gates...)))
	return e
}

// hungUp reports whether the request failed because its client was gone: work
// for it was canceled, or the answer could not be sent.
func hungUp(c echo.Context, err error) bool {
	gone := c.Request().Context().Err() != nil // net/http cancels it when the connection ends
	return gone && (c.Response().Committed || errors.Is(err, context.Canceled))
}

// asOne is all the middleware in one piece. By itself, echo would put it
// together anew for every request.
func asOne(middleware []echo.MiddlewareFunc) echo.MiddlewareFunc {
	whole := func(c echo.Context) error { return c.Handler()(c) }
	for _, m := range slices.Backward(middleware) {
		whole = m(whole)
	}
	return func(echo.HandlerFunc) echo.HandlerFunc { return whole }
}

func logFailure(c echo.Context, err error, a Answer, log *slog.Logger) {
	log.Error("request failed", "request", RequestID(c.Response()), "method", c.Request().Method, "route", c.Path(),
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
		log.Error("answering", "request", RequestID(c.Response()), "error", err)
	}
}

// What every answer has, with its keys in canonical form: it is not made anew
// each time. Nobody changes these values in place.
var (
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	applicationJSON = []string{"application/json"}
)

// identified sets what every answer has.
func identified(h http.Header) {
	h["X-Request-Id"] = []string{newRequestID()}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
}

// errPanic is what a panic becomes. What it was called with stays out of the
// log, for it could be anything; the stack has only addresses.
var errPanic = errors.New("panic")

// serving gives the request an id, keeps its answer out of caches, and makes an
// error of a panic.
func serving(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		identified(c.Response().Header())
		defer func() {
			switch p := recover(); {
			case p == nil:
			case p == http.ErrAbortHandler:
				panic(p) // how a handler asks net/http to hang up
			default:
				err = fmt.Errorf("%w of type %T at %s", errPanic, p, stack())
			}
		}()
		return next(c)
	}
}

// stack is the stack without the goroutine's header and this function.
func stack() string {
	_, s, _ := strings.Cut(string(debug.Stack()), "panic(")
	return s
}
