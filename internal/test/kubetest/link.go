package kubetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Link forwards TCP connections, and can be cut and mended. It is safe for
// concurrent use.
type Link struct {
	listener net.Listener
	known    chan struct{} // closed once target is set

	mu     sync.Mutex // guards the fields below
	target string
	cut    bool
	conns  map[net.Conn]bool
}

// NewLink returns a link without a target.
func NewLink(t testing.TB) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{listener: listener, known: make(chan struct{}), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); l.Cut() })
	go l.accept()
	return l
}

// Address returns the address that the link listens on.
func (l *Link) Address() string { return l.listener.Addr().String() }

// setTarget sets the address that the link forwards to.
func (l *Link) setTarget(target string) {
	l.target = target
	close(l.known)
}

// Cut closes every connection, and every new one until Mend.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for conn := range l.conns {
		_ = conn.Close()
	}
}

// Mend lets new connections through.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.carry(conn)
	}
}

func (l *Link) carry(near net.Conn) {
	<-l.known
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = near.Close()
		return
	}
	if !l.hold(near, far) {
		return
	}
	go func() { _, _ = io.Copy(far, near); l.drop(near, far) }()
	_, _ = io.Copy(near, far)
	l.drop(near, far)
}

// hold registers connections for Cut, or closes them if the link is cut.
func (l *Link) hold(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		if l.cut {
			_ = conn.Close()
		} else {
			l.conns[conn] = true
		}
	}
	return !l.cut
}

func (l *Link) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(l.conns, conn)
	}
}
