package server

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// A Policy answers requests until it is closed.
type Policy interface {
	http.Handler
	io.Closer
	// TLS is for handshakes; nil where there are none.
	TLS() *tls.Config
}

// Current is the policy in force, which can be replaced at any time: a request
// is answered under the one that it began under, however long it takes, and a
// policy is closed when it is no longer in force and its last request has
// ended. It is safe for concurrent use.
type Current struct {
	inForce atomic.Pointer[held]
	log     *slog.Logger
}

// NewCurrent returns one with the policy in force. Close it behind the last
// request.
func NewCurrent(p Policy, log *slog.Logger) *Current {
	c := &Current{log: log}
	c.Put(p)
	return c
}

// Put puts the policy in force, in the place of another.
func (c *Current) Put(p Policy) {
	h := &held{Policy: p}
	h.holders.Store(1)
	c.replace(h)
}

// Close leaves no policy in force. It does not wait for requests: the last to
// end closes theirs.
func (c *Current) Close() error {
	c.replace(nil)
	return nil
}

func (c *Current) replace(h *held) {
	if old := c.inForce.Swap(h); old != nil {
		c.letGo(old)
	}
}

func (c *Current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := c.hold()
	if h == nil {
		panic(http.ErrAbortHandler) // the server has ended
	}
	defer c.letGo(h)
	h.ServeHTTP(w, r)
}

// Use calls fn with the policy in force, which is not closed meanwhile, and
// without one does nothing.
func (c *Current) Use(fn func(Policy)) {
	if h := c.hold(); h != nil {
		defer c.letGo(h)
		fn(h.Policy)
	}
}

// hold returns the policy in force, to be let go, or nil.
func (c *Current) hold() *held {
	h := c.inForce.Load()
	for h != nil && !h.hold() { // it was replaced in between, and closed
		h = c.inForce.Load()
	}
	return h
}

// TLS returns the config of the policy in force, and nil without one.
func (c *Current) TLS() *tls.Config {
	if h := c.inForce.Load(); h != nil {
		return h.TLS()
	}
	return nil
}

func (c *Current) letGo(h *held) {
	if h.holders.Add(-1) > 0 {
		return
	}
	if err := h.Close(); err != nil {
		c.log.Error("closing a policy that is no longer in force", "error", err)
	}
}

// held is a policy and how many hold it open: each request that began under
// it, and Current while it is in force.
type held struct {
	Policy
	holders atomic.Int64
}

// hold adds a holder, unless the policy is closed already.
func (h *held) hold() bool {
	for {
		n := h.holders.Load()
		if n == 0 {
			return false
		}
		if h.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
