package server

import (
	"sync"
	"time"
)

// interruptedBefore is later than the deadlines that net/http and crypto/tls set to
// interrupt a read or write, and earlier than any real one. Comparing with it
// costs less than reading the clock.
var interruptedBefore = time.Unix(1<<30, 0) // January 2004

// deadlineStep is the longest delay before a passed deadline takes effect.
const deadlineStep = time.Second

// A deadline is the read or write deadline of a connection. net/http sets six
// of them for every request, and each would start or stop a timer although it
// is hardly ever reached. So a deadline is only stored here, and the connection
// limiter looks for passed ones every deadlineStep. A deadline in 1970 takes effect
// immediately: net/http interrupts a read that way.
type deadline struct {
	set func(time.Time) error // sets the deadline of the underlying connection

	mu    sync.Mutex
	by    time.Time // zero without a deadline
	isSet bool      // the underlying connection has the deadline, too
}

// put implements SetReadDeadline and SetWriteDeadline of net.Conn.
func (d *deadline) put(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = t
	switch {
	case !t.IsZero() && t.Before(interruptedBefore):
		d.isSet = true
		return d.set(t)
	case d.isSet:
		d.isSet = false
		return d.set(time.Time{})
	}
	return nil
}

// enforce sets the deadline on the underlying connection if it has passed.
func (d *deadline) enforce(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isSet && !d.by.IsZero() && now.After(d.by) {
		d.isSet = true
		_ = d.set(d.by) // fails only if the connection is closed
	}
}
