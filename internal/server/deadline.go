package server

import (
	"sync"
	"time"
)

// deadlineStep is how late a deadline may be.
const deadlineStep = time.Second

// A deadline is that of a connection, for reading or for writing. net/http sets
// six for every request, each of which would arm or disarm a timer, and hardly
// ever is one reached. So they are only noted here, and the connection limiter looks every
// deadlineStep for those that have passed. One that has passed already counts at
// once: so net/http interrupts a read.
type deadline struct {
	set func(time.Time) error // sets that of the connection itself

	mu    sync.Mutex
	by    time.Time // zero for none
	isSet bool      // and not only noted
}

// put is SetReadDeadline or SetWriteDeadline of net.Conn.
func (d *deadline) put(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = t
	switch passed := !t.IsZero() && time.Until(t) <= 0; {
	case passed:
		d.isSet = true
		return d.set(t)
	case d.isSet:
		d.isSet = false
		return d.set(time.Time{})
	}
	return nil
}

// enforce makes the deadline count if it has passed.
func (d *deadline) enforce(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isSet && !d.by.IsZero() && now.After(d.by) {
		d.isSet = true
		_ = d.set(d.by) // fails if it is closed
	}
}
