package pgtest

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy forwards TCP connections, and cuts, delays or refuses them on demand. It is safe
// for concurrent use.
type Proxy struct {
	listener net.Listener

	mu      sync.Mutex // guards the fields below
	target  string
	cutting float64 // see CutAtRandom
	refused bool
	stalled chan struct{}     // closed, and a new one with each Stall
	conns   map[net.Conn]bool // both ends
	cuts    int
}

// NewProxy returns a proxy for an address.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flowing := make(chan struct{})
	close(flowing)
	p := &Proxy{listener: listener, target: target, stalled: flowing, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); p.Refuse(true); p.Stall(false) })
	go p.accept()
	return p
}

// Address returns the address that the proxy listens on.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// SetTarget forwards new connections to another address.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut closes all open connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
		delete(p.conns, conn)
	}
}

// CutAtRandom closes a connection with this probability whenever something is to be
// forwarded on it, half of the times instead of forwarding and half right behind it: a
// COMMIT is lost on its way to the server, or its answer on the way back.
func (p *Proxy) CutAtRandom(probability float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutting = probability
}

// Cuts returns the number of connections that CutAtRandom has closed.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Refuse closes all connections, and each new one from now on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	p.refused = on
	p.mu.Unlock()
	if on {
		p.Cut()
	}
}

// Stall keeps all connections open, and forwards nothing until Stall(false).
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stalled:
		if on {
			p.stalled = make(chan struct{})
		}
	default:
		if !on {
			close(p.stalled)
		}
	}
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(near)
	}
}

func (p *Proxy) connect(near net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	far, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		_ = near.Close()
		return
	}
	p.mu.Lock()
	refused := p.refused
	if !refused {
		p.conns[near], p.conns[far] = true, true
	}
	p.mu.Unlock()
	if refused {
		p.drop(near, far)
		return
	}
	go p.forward(near, far)
	p.forward(far, near)
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(p.conns, conn)
	}
}

// forward copies what comes from one end to the other, and closes both when one ends.
func (p *Proxy) forward(from, to net.Conn) {
	defer p.drop(from, to)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		before, after := p.chance()
		if before {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil || after {
			return
		}
	}
}

// chance waits while the proxy is stalled. Then it decides whether the connection is to be
// closed now, or behind what is forwarded next.
func (p *Proxy) chance() (before, after bool) {
	p.mu.Lock()
	stalled := p.stalled
	p.mu.Unlock()
	<-stalled
	p.mu.Lock()
	defer p.mu.Unlock()
	if rand.Float64() >= p.cutting {
		return false, false
	}
	p.cuts++
	before = rand.IntN(2) == 0
	return before, !before
}
