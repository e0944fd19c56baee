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
	// TLS returns the config for handshakes, or nil without TLS.
	TLS() *tls.Config
}

// Current holds the policy in force, which can be replaced at any time. Each
// request finishes under the policy it began with. A replaced policy is closed
// when its last request has ended. Current is safe for concurrent use.
type Current struct {
	inForce atomic.Pointer[held]
	log     *slog.Logger
}

// NewCurrent returns a Current with this policy in force. Close it after the
// last request.
func NewCurrent(p Policy, log *slog.Logger) *Current {
	c := &Current{log: log}
	c.Put(p)
	return c
}

// Put replaces the policy in force.
func (c *Current) Put(p Policy) {
	h := &held{Policy: p}
	h.holders.Store(1)
	c.replace(h)
}

// Close leaves no policy in force. It does not wait for requests: the last one
// to end closes its policy.
func (c *Current) Close() error {
	c.replace(nil)
	return nil
}

func (c *Current) replace(h *held) {
	if old := c.inForce.Swap(h); old != nil {
		c.release(old)
	}
}

func (c *Current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := c.hold()
	if h == nil {
		panic(http.ErrAbortHandler) // the server has ended
	}
	defer c.release(h)
	h.ServeHTTP(w, r)
}

// Use calls fn with the policy in force and keeps it open until fn returns.
// Without a policy it does nothing.
func (c *Current) Use(fn func(Policy)) {
	if h := c.hold(); h != nil {
		defer c.release(h)
		fn(h.Policy)
	}
}

// hold returns the policy in force, or nil. The caller must release it.
func (c *Current) hold() *held {
	h := c.inForce.Load()
	for h != nil && !h.hold() { // it was replaced and closed in between
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

func (c *Current) release(h *held) {
	if h.holders.Add(-1) > 0 {
		return
	}
	if err := h.Close(); err != nil {
		c.log.Error("closing a policy that is no longer in force", "error", err)
	}
}

// held is a policy with the number of its holders: one for each request that
// began under it, and one for Current while it is in force.
type held struct {
	Policy
	holders atomic.Int64
}

// hold adds a holder, and returns false if the policy is already closed.
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
