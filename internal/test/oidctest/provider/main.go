// Provider is a small OpenID provider for tests, built on ory/fosite. It issues
// tokens like a Keycloak realm, by authorization code with PKCE and by client
// credentials, and rotates its keys on command. It runs as a separate process, so
// Strongroom reaches it only over its socket.
//
// It prints its issuer on a line of standard output and ends with its standard
// input. Start reading at [realm].
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "provider:", err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r, err := newRealm(listener.Addr().String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: r.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(r.issuer)
	return server.Serve(listener)
}
