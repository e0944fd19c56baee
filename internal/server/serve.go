// Package server holds the HTTP parts that all APIs share: an echo with the
// usual middleware ([NewEcho]), the front that routes requests to the APIs
// ([Front]), and listening, draining and stopping ([Serve]).
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Timeouts keep slow or silent clients from holding on to connections.
const (
	headerTimeout = 10 * time.Second // also for a handshake
	readTimeout   = 60 * time.Second
	writeTimeout  = readTimeout + 30*time.Second // starts at the same moment as readTimeout
	idleTimeout   = 120 * time.Second
	headerBytes   = 16 << 10
)

// http2Config bounds one HTTP/2 connection. The receive window must hold the
// largest body that any API accepts: some clients, such as httpx, send the
// whole body before they read, and would hang on an early 401 if the window
// were smaller.
func http2Config() *http.HTTP2Config {
	const largestBody = 4 << 20
	return &http.HTTP2Config{
		MaxConcurrentStreams:          32,
		MaxReceiveBufferPerStream:     largestBody,
		MaxReceiveBufferPerConnection: largestBody,
		WriteByteTimeout:              writeStall,
	}
}

// An Endpoint is a listener with its handler.
type Endpoint struct {
	Listener net.Listener
	Handler  http.Handler
	// Connections is the maximum number of open connections; 0 means no limit.
	// With a limit the Listener must be a *net.TCPListener.
	Connections int
	// Evicted counts the connections that were closed at that limit; it may be nil.
	Evicted *atomic.Uint64
	// TLS returns the config for each handshake. Nil means no TLS.
	TLS func() *tls.Config
	// ConnContext may add facts about a connection to the contexts of its
	// requests; it may be nil. It cannot be combined with Connections.
	ConnContext func(context.Context, net.Conn) context.Context
	// Patient disables the write timeout.
	Patient bool
}

// Serve answers on the endpoints until ctx is done. Then it gives requests in
// progress the time drain to finish, and closes the remaining connections. It
// returns nil if no request was cut off. If one endpoint fails, all are shut
// down.
func Serve(ctx context.Context, drain time.Duration, log *slog.Logger, endpoints ...Endpoint) error {
	ended := make(chan error, len(endpoints))
	var servers []*http.Server
	for _, e := range endpoints {
		s := e.server(log)
		e.limit(s, log)
		servers = append(servers, s)
		go func() { ended <- e.serve(s) }()
	}
	var failed error
	select {
	case err := <-ended:
		failed = fmt.Errorf("serving: %w", err)
		ended <- nil // it has ended; the loop below counts it
	case <-ctx.Done():
		log.Info("draining", "timeout", drain)
	}
	// ctx may already be done
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := shutDown(deadline, servers)
	for range endpoints {
		<-ended
	}
	if err != nil {
		err = fmt.Errorf("draining: requests were still in progress after %s: %w", drain, err)
	}
	return errors.Join(failed, err)
}

// limit applies the connection limit, if there is one.
func (e *Endpoint) limit(s *http.Server, log *slog.Logger) {
	if e.Connections == 0 {
		return
	}
	limiter := newConnLimiter(e.Listener.(*net.TCPListener), e.Connections, log)
	limiter.total = e.Evicted
	e.Listener = limiter
	s.Handler, s.ConnState, s.ConnContext = trackStalls(s.Handler), noteState, withConn
	// The limiter and trackStalls enforce these instead. net/http (Go 1.26)
	// restarts the idle timer of an HTTP/2 connection when the connection ends,
	// and keeps all its memory until that timer fires.
	s.IdleTimeout, s.ReadTimeout = 0, 0
}

func (e Endpoint) serve(s *http.Server) error {
	if e.TLS == nil {
		return s.Serve(e.Listener)
	}
	return s.ServeTLS(e.Listener, "", "") // the certificate is in the TLS config
}

// shutDown shuts all servers down in parallel.
func shutDown(deadline context.Context, servers []*http.Server) error {
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			if err := s.Shutdown(deadline); err != nil {
				errs[i] = errors.Join(err, s.Close())
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (e Endpoint) server(log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           e.Handler,
		ConnContext:       e.ConnContext,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		HTTP2:             http2Config(),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.DisableGeneralOptionsHandler = true // OPTIONS * needs a credential like every other request
	if e.Patient {
		s.WriteTimeout = 0
	}
	if e.TLS != nil {
		s.TLSConfig = perHandshake(e.TLS)
	}
	return s
}
