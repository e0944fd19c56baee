package kubetest

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// A Proxy forwards every request to an API server unless a [Fault] is set.
type Proxy struct {
	server      *httptest.Server
	fault       atomic.Pointer[Fault]
	connections atomic.Int64
}

// A Fault handles a request in place of the API server; next forwards it. It is
// called concurrently.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// NewProxy returns a proxy for the server, with TLS and HTTP/2 like the server.
func (s *Server) NewProxy(t testing.TB) *Proxy {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: []byte(s.CA)}})
	if err != nil {
		t.Fatal(err)
	}
	next := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:    transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	p := &Proxy{}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := p.fault.Load(); fault != nil {
			(*fault)(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}))
	p.server.EnableHTTP2 = true
	p.server.Config.ConnState = p.count
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

func (p *Proxy) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.connections.Add(-1)
	}
}

// Connections returns the number of open client connections.
func (p *Proxy) Connections() int64 { return p.connections.Load() }

// Config returns cfg with the proxy's address.
func (p *Proxy) Config(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Host = p.server.URL
	cfg.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return cfg
}

// Set applies the fault to every request from now on; nil forwards them all.
func (p *Proxy) Set(fault Fault) {
	if fault == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&fault)
}

// Cut is a fault: the connection breaks before the request arrives.
func Cut(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// LoseReply is a fault: the connection breaks after the request was served.
func LoseReply(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// Stall is a fault: the server never answers.
func Stall(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body) // else the proxy does not notice that the client disconnects
	<-r.Context().Done()
}

// Answer returns a fault that answers with this status and reason of the
// Kubernetes API, such as 429 TooManyRequests.
func Answer(status int, reason string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, status)
	}
}

// Once returns a fault for the first request only; later ones are forwarded.
func Once(fault Fault) Fault {
	var met atomic.Bool
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if met.Swap(true) {
			next.ServeHTTP(w, r)
			return
		}
		fault(w, r, next)
	}
}
