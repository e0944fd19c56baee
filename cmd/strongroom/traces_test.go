package main_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A traceReceiver receives spans by OTLP over HTTP.
type traceReceiver struct {
	*httptest.Server
	mu    sync.Mutex // guards the fields below
	raw   bytes.Buffer
	spans []*traces.Span
	about map[string]string // attributes of the resource
}

func mustReceiveTraces(t *testing.T) *traceReceiver {
	t.Helper()
	r := &traceReceiver{about: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		text, err := io.ReadAll(body)
		var batch collect.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &batch)
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s, %s: %v", req.URL.Path, req.Header.Get("Content-Type"), err)
		}
		r.take(text, &batch)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Server.Close)
	return r
}

func (r *traceReceiver) take(text []byte, batch *collect.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.Write(text)
	for _, of := range batch.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			r.about[a.Key] = a.Value.GetStringValue()
		}
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

// named returns the only span of this name.
func (r *traceReceiver) named(t *testing.T, name string) *traces.Span {
	t.Helper()
	var found *traces.Span
	for _, s := range r.spans {
		if s.Name == name {
			if found != nil {
				t.Errorf("two spans are named %s", name)
			}
			found = s
		}
	}
	if found == nil {
		t.Fatalf("there is no span %q, but %q", name, r.names())
	}
	return found
}

func (r *traceReceiver) names() (names []string) {
	for _, s := range r.spans {
		names = append(names, s.Name)
	}
	return names
}

func attributes(of []*common.KeyValue) map[string]any {
	all := map[string]any{}
	for _, a := range of {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = v.IntValue
		}
	}
	return all
}

func wantAttributes(t *testing.T, s *traces.Span, want map[string]any) {
	t.Helper()
	got := attributes(s.Attributes)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: %s is %v, want %v", s.Name, key, got[key], value)
		}
	}
}

// serveTraced starts the server with variables in its environment.
func serveTraced(t *testing.T, i install, env ...string) *process {
	t.Helper()
	cmd := exec.Command(program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), env...)
	return mustStartCmd(t, cmd)
}

const secretRoute = "/api/app/:app_id/secrets/:secret_name"

func TestTracesFollowARequestIntoStoreAndLog(t *testing.T) {
	t.Parallel()
	i, r := mustInit(t), mustReceiveTraces(t)
	p := serveTraced(t, i, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+canary+`","data":[{"key":"k","value":"`+canary+`"}]}`)
	p.want(t, 200, "GET", app+"/"+canary, i.pskHeader(), "")
	p.want(t, 404, "DELETE", app+"/"+canary+"2", i.pskHeader(), "")
	p.want(t, 401, "GET", "/"+canary, "", "")
	id := p.want(t, 200, "GET", app+"/"+canary+"/reveal?"+canary, i.pskHeader(), "").header.Get("X-Request-Id")
	p.mustStop(t)

	r.mu.Lock()
	defer r.mu.Unlock()
	create, reveal := r.named(t, "POST /api/app/:app_id/secrets"), r.named(t, "GET "+secretRoute+"/reveal")
	wantAttributes(t, create, map[string]any{
		"http.request.method": "POST", "http.route": "/api/app/:app_id/secrets", "http.response.status_code": int64(200),
		"url.scheme": "http", "network.protocol.version": "1.1", "strongroom.api": "nx1",
	})
	wantAttributes(t, reveal, map[string]any{"http.route": secretRoute + "/reveal", "strongroom.request.id": id})
	wantAttributes(t, r.named(t, "GET"), map[string]any{"http.route": nil, "http.response.status_code": int64(401)})
	stored := r.named(t, "store create")
	wantAttributes(t, stored, map[string]any{"strongroom.action": "create", "strongroom.outcome": "done"})
	wantAttributes(t, r.named(t, "store delete"), map[string]any{"strongroom.outcome": "not found"})
	if !bytes.Equal(stored.ParentSpanId, create.SpanId) || create.Kind != traces.Span_SPAN_KIND_SERVER {
		t.Errorf("the store's span does not belong to the request's, of kind %v", create.Kind)
	}
	below := func(parent *traces.Span) (names []string) {
		for _, s := range r.spans {
			if bytes.Equal(s.ParentSpanId, parent.SpanId) {
				names = append(names, s.Name)
			}
		}
		return names
	}
	if got := below(stored); !slices.Equal(got, []string{"log append"}) {
		t.Errorf("below the store's span is %q, want the append to the log", got)
	}
	if got := r.about["service.name"] + " " + r.about["service.version"]; got != "strongroom v0-test" {
		t.Errorf("the service is %s", got)
	}
	for _, text := range []string{canary, "0f8fad5b", "alice", i.psk, i.sessionKey, i.dir} {
		if strings.Contains(r.raw.String(), text) {
			t.Errorf("%q is in the traces", text)
		}
	}
}

func TestTraceOfTheCallerContinues(t *testing.T) {
	t.Parallel()
	i, r := mustInit(t), mustReceiveTraces(t)
	p := serveTraced(t, i, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+r.URL+"/v1/traces")
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.address+app, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization-PSK", i.psk)
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Header.Set("tracestate", "vendor="+canary)
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.mustStop(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.named(t, "GET /api/app/:app_id/secrets")
	if got := string(s.TraceId[:4]) + string(s.ParentSpanId[:4]); got != "\x0a\xf7\x65\x19\xb7\xad\x6b\x71" || s.TraceState != "" {
		t.Errorf("the span belongs to trace %x, parent %x, state %q", s.TraceId, s.ParentSpanId, s.TraceState)
	}
}

func TestTracesAreOffUnlessNamed(t *testing.T) {
	t.Parallel()
	i, r := mustInit(t), mustReceiveTraces(t)
	for _, env := range [][]string{
		nil, {"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.URL, "OTEL_SDK_DISABLED=true"}, {"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.URL, "OTEL_TRACES_EXPORTER=none"},
	} {
		p := serveTraced(t, i, env...)
		p.want(t, 200, "GET", app, i.pskHeader(), "")
		p.mustStop(t)
		if len(r.spans) > 0 {
			t.Errorf("with %q there are spans", env)
		}
	}
}

func TestMistakesInTheVariablesForTracesStopTheStart(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	for variable, said := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=127.0.0.1:4318": "OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL such as http://127.0.0.1:4318",
		"OTEL_TRACES_EXPORTER=zipkin":                "OTEL_TRACES_EXPORTER: must be otlp or none",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":           "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf",
	} {
		cmd := command(t, "serve", "--config", i.config())
		cmd.Env = append(os.Environ(), variable)
		if variable == "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" {
			cmd.Env = append(cmd.Env, "OTEL_TRACES_EXPORTER=otlp")
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), said) {
			t.Errorf("%s: %v\n%s", variable, err, out)
		}
	}
}

// A collector that is away costs nothing but spans.
func TestMissingReceiverOfTracesFailsNoRequest(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := serveTraced(t, i, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+mustFindAddress(t), "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_TIMEOUT=500")
	p.want(t, 200, "GET", app, i.pskHeader(), "")
	if log := p.mustStop(t); !strings.Contains(log, `msg="traces cannot be sent"`) {
		t.Errorf("the log says nothing:\n%s", log)
	}
}
