package server

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSendBufferIsFixedUntilTheFirstAuthenticatedRequest(t *testing.T) {
	c, _ := acceptOne(t)
	if fixed := sendBufferIsFixed(t, c.TCPConn); !fixed {
		t.Error("the send buffer of a new connection can grow")
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	MarkAuthenticated(r.WithContext(withConn(t.Context(), c)))
	if fixed := sendBufferIsFixed(t, c.TCPConn); fixed {
		t.Error("the send buffer of an authenticated connection cannot grow")
	}
}

func sendBufferIsFixed(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var lock int
	if controlErr := raw.Control(func(fd uintptr) { lock, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BUF_LOCK) }); controlErr != nil {
		t.Fatal(controlErr)
	}
	if err != nil {
		t.Skip("NOT TESTED: this kernel has no SO_BUF_LOCK (Linux 5.14)")
	}
	return lock&unix.SOCK_SNDBUF_LOCK != 0
}
