package app

import (
	"context"
	"net/http"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/tracing"
)

// tracedRequests follows the requests of one API in traces, too.
type tracedRequests struct {
	requests
	tracer *tracing.Tracer
}

var _ server.Tracer = tracedRequests{}

// Begin implements [server.Tracer].
func (o tracedRequests) Begin(r *http.Request, route string) (context.Context, func(server.Exchange)) {
	ctx, end := o.tracer.Request(r, o.api, route)
	return ctx, func(e server.Exchange) { end(e.Status, e.ID) }
}

// traceState makes spans for the changes of requests.
func (r *resources) traceState() {
	if r.tracer == nil {
		return
	}
	r.file.Trace(func(ctx context.Context) func(error) {
		end := r.tracer.Append(ctx)
		if end == nil {
			return nil
		}
		return func(err error) { end(err != nil && isFault(secret.OutcomeOf(err))) }
	})
}

// operation is a hook of [secret.Hooks].
func (r *resources) operation(ctx context.Context, action secret.Action) (context.Context, func(secret.Outcome)) {
	ctx, end := r.tracer.Operation(ctx, string(action))
	return ctx, func(o secret.Outcome) { end(string(o), isFault(o)) }
}

// isFault reports whether an outcome is the server's fault and not the caller's.
func isFault(o secret.Outcome) bool {
	return o == secret.Unavailable || o == secret.Full || o == secret.Failed
}

// clusterRequest is an option of the Kubernetes store, nil without traces.
func clusterRequest(t *tracing.Tracer) func(ctx context.Context, method, host string) (context.Context, func(status int)) {
	if t == nil {
		return nil
	}
	return t.ClusterRequest
}
