package state

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A node that is alone holds a lease, and reads without asking the database. The lease is a
// row of the state with the id of the holder. No node can miss it, since each appends behind
// the last change. Before a node appends anything else, it ends the lease of another one:
// it appends that the lease ends, and waits until the holder's last confirmation is over.
// So a holder that reads without asking has all changes of others. It asks while one of its own
// may be in the database and is not yet in its file, because other nodes can already show it.
//
// A confirmation is a query of the head that has found no change of another node, or an
// append. Only the speed of the machines' clocks matters, not what they show.

const (
	leaseBucket = "state/lease"
	// leaseFor is how long a confirmation lets the holder read without asking.
	leaseFor = time.Second
	// endingFor is how long another node waits. It is longer, because the clocks of two
	// machines may run at different speeds: chrony slews one by up to a twelfth.
	endingFor = leaseFor + leaseFor/5
	// AloneFor is how long a node meets no other one until it takes the lease. Nodes that
	// start together, or change the state in turns, need not wait for each other.
	AloneFor = 5 * time.Second
	// leaseEnds follows the holder's id when another node has ended the lease.
	leaseEnds = " ends"
)

var leaseKey = []byte("holder")

// A lease is what a node knows of the lease.
type lease struct {
	holder  string    // id of a node; empty for none
	ends    bool      // holder must not read without asking much longer
	learned time.Time // of the end, or of the holder
}

// confirm notes that this node had all changes when a query or an append began.
func (n *node) confirm(began time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if elapsed(n.confirmed) > AloneFor/2 { // after an outage no other node has reported lately
		n.met = time.Now()
	}
	if began.After(n.confirmed) {
		n.confirmed = began
	}
}

// isConfirmed reports whether the last confirmation is newer than the staleness, or lets this
// node read without asking because it holds the lease.
func (n *node) isConfirmed(staleness time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lease.holder == n.id && !n.lease.ends && n.log.tried.Load() <= n.told.Load() {
		staleness = max(staleness, leaseFor)
	}
	return elapsed(n.confirmed) < staleness
}

// elapsed returns the time since then, with that for which the machine was suspended. Go's
// monotonic clock leaves it out on Linux; the clock that people see does not.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// followLease learns of the lease, and of later changes of its row.
func (f *File) followLease() error {
	f.Watch(leaseBucket, func(rows []Row) {
		for _, r := range rows {
			f.node.learnLease(r.Value)
		}
	})
	return f.View(func(tx *Tx) error {
		b := tx.Bucket(leaseBucket)
		f.node.learnLease(b.Get(leaseKey))
		return nil
	})
}

// learnLease notes the row of the lease.
func (n *node) learnLease(row []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &n.lease
	l.holder, l.ends = strings.CutSuffix(string(row), leaseEnds)
	l.learned = time.Now()
}

// meet notes that another node has changed the state. One of an earlier version has not ended
// the lease before.
func (n *node) meet() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.met = time.Now()
	n.lease.ends = n.lease.ends || n.lease.holder == n.id
}

// leaseOfOther returns the lease of another node, and reports whether there is one.
func (n *node) leaseOfOther() (l lease, exists bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lease, n.lease.holder != "" && n.lease.holder != n.id
}

// endLease returns when no other node reads without asking. The caller has the turn, and has
// not locked the log.
func (f *File) endLease() error {
	for {
		l, exists := f.node.leaseOfOther()
		if !exists {
			return nil
		}
		row := change.Row{Bucket: leaseBucket, Key: leaseKey} // deleted
		if l.ends {
			time.Sleep(endingFor - time.Since(l.learned))
		} else {
			row.Value = []byte(l.holder + leaseEnds)
		}
		err := f.lock() // the holder may be busy
		if now, _ := f.node.leaseOfOther(); err == nil && now == l {
			err = f.write([]change.Row{row}, false, true)
		}
		f.release()
		if errors.Is(err, ErrUnknown) { // the changes that wait have not happened
			return ErrAway
		}
		if err != nil {
			return err
		}
	}
}

// MayTakeLease reports whether this node does not hold the lease, and has met no other node
// for [AloneFor].
func (f *File) MayTakeLease() bool {
	n := f.node
	n.mu.Lock()
	defer n.mu.Unlock()
	isHolder := n.lease.holder == n.id && !n.lease.ends
	return !isHolder && time.Since(n.met) >= AloneFor
}

// TakeLease makes this node the holder of the lease. Call it if no other node is in use: the
// changes of one that is would have to wait. Errors: as those of [File.Update].
func (f *File) TakeLease(ctx context.Context) error {
	return f.Update(ctx, func(tx *Tx) error {
		b := tx.Bucket(leaseBucket)
		return b.Put(leaseKey, []byte(f.node.id))
	})
}

// LeaveLease gives up the lease, if this node holds it, so that the next node need not wait.
// It asks the database first, because an append that is not answered takes ten seconds.
// Errors: as those of [File.Update].
func (f *File) LeaveLease(ctx context.Context) error {
	if !f.node.isConfirmed(0) {
		return nil
	}
	if err := f.Confirm(ctx); err != nil {
		return err
	}
	return f.Update(ctx, func(tx *Tx) error {
		b := tx.Bucket(leaseBucket)
		if string(b.Get(leaseKey)) != f.node.id { // another node has ended it
			return nil
		}
		return b.Delete(leaseKey)
	})
}
