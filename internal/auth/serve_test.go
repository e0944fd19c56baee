package auth_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// The connection limiter evicts connections without an authenticated request first.
func TestServeKeepsTheConnectionOfItsCallerOpen(t *testing.T) {
	const connections = 64
	var chain auth.Chain
	alice := func() (secret.Caller, error) { return secret.Caller{Subject: "alice"}, nil }
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/in" {
			return
		}
		err := chain.Serve(r, "id", alice, func(r *http.Request) error {
			_, err := fmt.Fprint(w, auth.Caller(r.Context()).Subject)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, time.Second, slog.New(slog.DiscardHandler), server.Endpoint{Listener: l, Handler: handler, Connections: connections})
	}()
	t.Cleanup(func() { stop(); <-ended })

	dial := func(path string) (get func() error) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		answers := bufio.NewReader(conn)
		return func() error {
			_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			resp, err := http.ReadResponse(answers, nil)
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		}
	}
	getIn := dial("/in")
	if err := getIn(); err != nil {
		t.Fatal(err)
	}
	for range 3 * connections {
		if dial("/out")() != nil {
			t.Fatal("a new connection was closed")
		}
	}
	if err := getIn(); err != nil {
		t.Errorf("the connection of an authenticated caller was closed: %v", err)
	}
}
