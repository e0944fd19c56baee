// Package server is what the APIs share: an echo with the usual middleware
// ([NewEcho]), the front that tells them apart ([Front]), and how to listen,
// drain and stop ([Serve]).
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Timeouts keep slow or silent clients from holding on to connections.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 60 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 120 * time.Second
	headerBytes   = 64 << 10
)

// Serve answers on the listener until ctx is done, then lets requests under
// way finish for as long as drain, and hangs up on the rest. It returns nil
// if none was cut off.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, drain time.Duration, log *slog.Logger) error {
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	log.Info("draining", "timeout", drain)
	// Not ctx, which is done already.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := s.Shutdown(deadline)
	if err != nil {
		err = fmt.Errorf("draining: requests were still under way after %s: %w", drain, errors.Join(err, s.Close()))
	}
	<-ended
	return err
}
