package app

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/metrics"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// observer returns the watcher of an API's requests, or nil if neither metrics, traces nor
// the access log need it.
func (r *resources) observer(api string, c config.Log, log *slog.Logger) server.Observer {
	o := requests{api: api, metrics: r.metrics, log: log, from: leastStatus(c.Access)}
	switch {
	case r.tracer != nil:
		return tracedRequests{o, r.tracer}
	case o.metrics == nil && o.from == never:
		return nil
	}
	return o
}

// requests watches the requests of one API.
type requests struct {
	api     string
	metrics *meter // may be nil
	log     *slog.Logger
	from    int // the least status that the access log has
}

var _ server.Observer = requests{}

const never = 1000 // no status

func leastStatus(access string) int {
	switch access {
	case "all":
		return 0
	case "errors":
		return 400
	}
	return never
}

// Operation implements [server.Observer].
func (o requests) Operation(method, id string) func(server.Exchange) {
	var route *metrics.Route
	if o.metrics != nil {
		route = o.metrics.Route(o.api, method, id)
	}
	return func(e server.Exchange) {
		if route != nil {
			route.Answered(e.Status, e.Took)
		}
		if e.Status >= o.from {
			o.note(id, e)
		}
	}
}

// note writes a line of the access log. It has the operation instead of the path, because
// paths have names of secrets.
func (o requests) note(id string, e server.Exchange) {
	caller := auth.Caller(e.Request.Context())
	o.log.Info("request", "request", e.ID, "api", o.api, "operation", id, "status", e.Status,
		"seconds", e.Took.Seconds(), "bytes", e.Bytes, "from", caller.From, "key", caller.CredentialID)
}

// attempts watches authentications.
type attempts struct {
	metrics *meter       // may be nil
	log     *slog.Logger // nil without an access log
	seldom  rate.Sometimes
	skipped atomic.Uint64
}

var _ auth.Attempts = (*attempts)(nil)

// failuresAtOnce and failuresEvery bound the lines about failed authentications, which
// clients can cause without a credential.
const (
	failuresAtOnce = 10
	failuresEvery  = time.Second
)

// attempts returns the watcher of authentications, or nil if neither metrics nor the
// access log need it.
func (r *resources) attempts(c config.Log, log *slog.Logger) auth.Attempts {
	a := &attempts{metrics: r.metrics, seldom: rate.Sometimes{First: failuresAtOnce, Interval: failuresEvery}}
	if leastStatus(c.Access) != never {
		a.log = log
	}
	if a.metrics == nil && a.log == nil {
		return nil
	}
	return a
}

// Accepted implements [auth.Attempts].
func (a *attempts) Accepted(strategy string) {
	if a.metrics != nil {
		a.metrics.Accepted(strategy)
	}
}

// Refused implements [auth.Attempts].
func (a *attempts) Refused(from, strategy string, err error) {
	limit, limited := errors.AsType[*auth.TooManyError](err)
	outcome := metrics.AuthRejected
	switch {
	case limited:
		outcome = "limit " + limit.Limit
	case errors.Is(err, secret.ErrUnavailable):
		outcome = metrics.AuthUnavailable
	case errors.Is(err, auth.ErrNoCredential):
		outcome = metrics.AuthMissing
	}
	switch {
	case a.metrics == nil:
	case limited:
		a.metrics.Limited(limit.Limit)
	default:
		a.metrics.Refused(strategy, outcome)
	}
	if a.log != nil {
		a.note(from, strategy, outcome)
	}
}

func (a *attempts) note(from, strategy, outcome string) {
	a.skipped.Add(1)
	a.seldom.Do(func() {
		a.log.Info("authentication failed", "from", from, "strategy", strategy, "reason", outcome, "skipped", a.skipped.Swap(0)-1)
	})
}
