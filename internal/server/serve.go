// Package server is what the APIs share: an echo with the usual middleware
// ([NewEcho]), the front that tells them apart ([Front]), and how to listen,
// drain and stop ([Serve]).
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
	"time"
)

// Timeouts keep slow or silent clients from holding on to connections.
const (
	headerTimeout = 10 * time.Second // for a handshake, too
	readTimeout   = 60 * time.Second
	writeTimeout  = readTimeout + 30*time.Second // counted from the same moment
	idleTimeout   = 120 * time.Second
	headerBytes   = 16 << 10
)

// http2Config bounds one HTTP/2 connection. Clients that send a whole body
// before they read anything, such as httpx, hang where the receive window is
// smaller than the body and the answer is an early 401; so it takes the largest
// body that any API accepts.
func http2Config() *http.HTTP2Config {
	const largestBody = 4 << 20
	return &http.HTTP2Config{
		MaxConcurrentStreams:          32,
		MaxReceiveBufferPerStream:     largestBody,
		MaxReceiveBufferPerConnection: largestBody,
		WriteByteTimeout:              writeStall,
	}
}

// An Endpoint is a listener and what is served on it.
type Endpoint struct {
	Listener net.Listener
	Handler  http.Handler
	// Connections there may be at a time; 0 is any number. The listener must be
	// of TCP then.
	Connections int
	// TLS is asked for at each handshake; nil serves without.
	TLS func() *tls.Config
	// ConnContext may add what is known of a connection to the contexts of its
	// requests; nil adds nothing. It is not for endpoints with Connections.
	ConnContext func(context.Context, net.Conn) context.Context
	// Patient lets an answer take as long as it needs.
	Patient bool
}

// Serve answers on the endpoints until ctx is done, then lets requests under
// way finish for as long as drain, and hangs up on the rest. It returns nil
// if none was cut off. If one endpoint fails, all end.
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
		ended <- nil // it has ended, and is counted below
	case <-ctx.Done():
		log.Info("draining", "timeout", drain)
	}
	// Not ctx, which may be done already.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := shutDown(deadline, servers)
	for range endpoints {
		<-ended
	}
	if err != nil {
		err = fmt.Errorf("draining: requests were still under way after %s: %w", drain, err)
	}
	return errors.Join(failed, err)
}

// limit limits the number of connections, if there is a limit.
func (e *Endpoint) limit(s *http.Server, log *slog.Logger) {
	if e.Connections == 0 {
		return
	}
	e.Listener = newConnLimiter(e.Listener.(*net.TCPListener), e.Connections, log)
	s.Handler, s.ConnState, s.ConnContext = trackStalls(s.Handler), noteState, withConn
	// The limiter and trackStalls enforce these. net/http (Go 1.26) starts the idle
	// timer of an HTTP/2 connection again when the connection ends, and until that
	// fires it keeps all that the connection held.
	s.IdleTimeout, s.ReadTimeout = 0, 0
}

func (e Endpoint) serve(s *http.Server) error {
	if e.TLS == nil {
		return s.Serve(e.Listener)
	}
	return s.ServeTLS(e.Listener, "", "") // the files are in the config
}

// shutDown ends the servers at the same time.
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
	s.DisableGeneralOptionsHandler = true // OPTIONS * needs a credential, as everything does
	if e.Patient {
		s.WriteTimeout = 0
	}
	if e.TLS != nil {
		s.TLSConfig = perHandshake(e.TLS)
	}
	return s
}
