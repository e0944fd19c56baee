package contracttest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// nodes returns the number of servers that share a state: make contract-nodes sets it.
func nodes() int {
	n, _ := strconv.Atoi(os.Getenv("STRONGROOM_NODES"))
	return max(1, n)
}

// database returns the arguments of init for a new database, none for a state file.
func database(t *testing.T) []string {
	if nodes() == 1 {
		return nil
	}
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(pgtest.Start(t).NewDatabase(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--postgres", file}
}

// join starts more servers with the same files and caches of their own, and returns their
// addresses.
func join(t *testing.T, dir string, more int) (addresses []string) {
	t.Helper()
	for range more {
		other := shortDir(t)
		for _, sub := range []string{".", "keys", "data"} {
			if err := os.MkdirAll(filepath.Join(other, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		files, _ := filepath.Glob(filepath.Join(dir, "keys", "*"))
		for _, from := range append(files, filepath.Join(dir, "strongroom.yaml")) {
			name, _ := filepath.Rel(dir, from)
			text, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(filepath.Join(other, name), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		addresses = append(addresses, start(t, other))
	}
	return addresses
}

// shortDir returns a directory whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// inTurn returns an address whose connections go to the servers in turn. Without connections
// that are kept, so do requests.
func inTurn(t *testing.T, servers []string) (address string) {
	t.Helper()
	wire.DisableKeepAlives = true
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var accepted atomic.Int64
	go func() {
		for {
			near, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go connect(near, servers[int(accepted.Add(1))%len(servers)])
			}
		}
	}()
	return listener.Addr().String()
}

// connect passes bytes on in both directions until each side has ended its own.
func connect(near net.Conn, server string) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near)
		_ = far.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, near) // the rest of a refused request, as the server does
	}()
	_, _ = io.Copy(near, far)
	_ = near.(*net.TCPConn).CloseWrite()
	<-done
}
