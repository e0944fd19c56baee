// Package tracing sends traces by OpenTelemetry (OTLP over HTTP), if the standard
// environment variables ask for it.
//
// A request has spans for itself, for the operation of the store, for its entry in the
// audit log with the flush, and for each request to a cluster. No span has a value, a
// name, an owner, a path or any text of a client: routes are templates, and errors are
// kinds. Attributes have the stable names of OpenTelemetry's conventions for HTTP
// (opentelemetry.io/docs/specs/semconv/http/http-spans), without url.path and url.full.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// Environment variables of opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
const (
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	exporter       = "OTEL_TRACES_EXPORTER"
	disabled       = "OTEL_SDK_DISABLED"
)

// wanted reports whether the environment asks for traces. The error names the variable.
func wanted() (bool, error) {
	named := os.Getenv(endpoint) != "" || os.Getenv(tracesEndpoint) != ""
	if strings.EqualFold(os.Getenv(disabled), "true") {
		return false, nil
	}
	switch os.Getenv(exporter) {
	case "none":
		return false, nil
	case "":
		if !named {
			return false, nil
		}
	case "otlp":
	default:
		return false, fmt.Errorf("%s: must be otlp or none", exporter)
	}
	var wrong []error
	for _, name := range []string{endpoint, tracesEndpoint} {
		to, err := url.Parse(os.Getenv(name))
		if os.Getenv(name) != "" && (err != nil || to.Host == "" || !slices.Contains([]string{"http", "https"}, to.Scheme)) {
			wrong = append(wrong, fmt.Errorf("%s: must be a URL such as http://127.0.0.1:4318", name))
		}
	}
	for _, name := range []string{protocol, tracesProtocol} {
		if !slices.Contains([]string{"", "http/protobuf"}, os.Getenv(name)) {
			wrong = append(wrong, fmt.Errorf("%s: must be http/protobuf, the only protocol of this program", name))
		}
	}
	return true, errors.Join(wrong...)
}

// closeWithin limits the time for sending the last spans.
const closeWithin = 2 * time.Second

// A Tracer makes spans and sends them in the background. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open returns a tracer, or nil if the environment does not ask for one. The error names
// an environment variable. Spans that cannot be sent are dropped, and the log says so at
// most every ten seconds.
func Open(ctx context.Context, version string, log *slog.Logger) (*Tracer, error) {
	on, err := wanted()
	if err != nil || !on {
		return nil, err
	}
	seldom := &rate.Sometimes{First: 1, Interval: 10 * time.Second}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seldom.Do(func() { log.Warn("traces cannot be sent", "error", err) })
	}))
	otel.SetLogger(logr.Discard()) // it repeats the errors
	to, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	self, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("strongroom"), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(to), sdk.WithResource(self))
	return &Tracer{p, p.Tracer("github.com/strongroom/strongroom", trace.WithInstrumentationVersion(version), trace.WithSchemaURL(semconv.SchemaURL))}, nil
}

// Close sends the last spans, for two seconds at most.
func (t *Tracer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Request begins the span of a request to an API. The route is a template, empty if there
// is none. A trace of the caller continues (W3C Trace Context), without its tracestate,
// which is a client's text.
func (t *Tracer) Request(r *http.Request, api, route string) (_ context.Context, end func(status int, requestID string)) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if remote := trace.SpanContextFromContext(ctx); remote.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceState(trace.TraceState{}))
	}
	method := methodOf(r)
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method), semconv.URLScheme(schemeOf(r)), semconv.NetworkProtocolVersion(versionOf(r)),
		attribute.String("strongroom.api", api),
	}
	name := method
	if method == other {
		name = "HTTP"
	}
	if route != "" {
		name += " " + route
		attributes = append(attributes, semconv.HTTPRoute(route))
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	return ctx, func(status int, requestID string) {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status), attribute.String("strongroom.request.id", requestID))
		if status >= http.StatusInternalServerError {
			fail(span, strconv.Itoa(status))
		}
		span.End()
	}
}

// Operation begins the span of a store's operation. The outcome is a word of the audit
// log.
func (t *Tracer) Operation(ctx context.Context, action string) (_ context.Context, end func(outcome string, failed bool)) {
	ctx, span := t.tracer.Start(ctx, "store "+action, trace.WithAttributes(attribute.String("strongroom.action", action)))
	return ctx, func(outcome string, failed bool) {
		span.SetAttributes(attribute.String("strongroom.outcome", outcome))
		if failed {
			fail(span, outcome)
		}
		span.End()
	}
}

// Append begins the span of a change to the state file: its wait for other changes, its
// record with the audit entry, and the flush. End is nil outside of a trace, as for
// background work.
func (t *Tracer) Append(ctx context.Context) (end func(failed bool)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	_, span := t.tracer.Start(ctx, "log append")
	return func(failed bool) {
		if failed {
			fail(span, other)
		}
		span.End()
	}
}

// ClusterRequest begins the span of a request to a cluster's API server. It omits the
// path, because paths have names of secrets.
func (t *Tracer) ClusterRequest(ctx context.Context, method, host string) (_ context.Context, end func(status int)) {
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.ServerAddress(host)))
	return ctx, func(status int) {
		if status == 0 {
			fail(span, other) // no answer
		} else {
			span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		}
		if status >= http.StatusBadRequest {
			fail(span, strconv.Itoa(status))
		}
		span.End()
	}
}

// other stands for a method or a kind of error without a name in the conventions.
const other = "_OTHER"

// fail sets the kind of error. Its text could quote a request.
func fail(span trace.Span, kind string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	span.SetStatus(codes.Error, "")
}

// methodOf returns a method of RFC 9110 or RFC 5789, or other.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return r.Method
	}
	return other
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func versionOf(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)
}
