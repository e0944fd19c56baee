package admin

import (
	"context"
	"sync"
	"time"
)

// Duties assign tasks to nodes: one of several nodes does a task at a time.
type Duties interface {
	// Claim gives a duty to this process for some time, or for longer if it has it already.
	// It reports whether this process has the duty now.
	Claim(ctx context.Context, duty string, term time.Duration) (has bool, err error)
	// Release gives up a duty, if this process has it.
	Release(ctx context.Context, duty string) error
}

// A Node is one of the processes that share a state.
type Node struct {
	Name, Version string
	Self          bool          // it answers this request
	Behind        uint64        // number of changes that it lacks
	Heard         time.Duration // since its last beat
	Staleness     time.Duration // for which it may answer without asking the database
	Duties        []string
}

// HeardText returns the time since the node's last beat, for people.
func (n Node) HeardText() string {
	if n.Heard < 3*time.Second {
		return "now"
	}
	return n.Heard.Round(time.Second).String() + " ago"
}

// Alone are the duties of the only process that has the state open.
type Alone struct{}

var _ Duties = Alone{}

// Claim implements [Duties].
func (Alone) Claim(context.Context, string, time.Duration) (bool, error) { return true, nil }

// Release implements [Duties].
func (Alone) Release(context.Context, string) error { return nil }

const (
	// leaseTerm is how long a duty stays with a process that has died.
	leaseTerm  = 30 * time.Second
	renewEvery = leaseTerm / 3
)

// A Lease is a duty that this process has until Release or Lost.
type Lease struct {
	duties Duties
	duty   string
	term   time.Duration
	cancel context.CancelFunc
	lost   chan struct{}
	done   sync.WaitGroup
}

// Take claims a duty and renews the claim until Release. It returns nil if another node has
// the duty.
func Take(ctx context.Context, duties Duties, duty string) (*Lease, error) {
	return take(ctx, duties, duty, leaseTerm, renewEvery)
}

func take(ctx context.Context, duties Duties, duty string, term, every time.Duration) (*Lease, error) {
	until := time.Now().Add(term)
	if has, err := duties.Claim(ctx, duty, term); !has || err != nil {
		return nil, err
	}
	l := &Lease{duties: duties, duty: duty, term: term, lost: make(chan struct{})}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.done.Go(func() { l.renew(ctx, until, every) })
	return l, nil
}

// Lost is closed when another node may have the duty.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// renew renews the claim until ctx is done or another node may have it.
func (l *Lease) renew(ctx context.Context, until time.Time, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		next := time.Now().Add(l.term)
		within, cancel := context.WithDeadline(ctx, until)
		has, err := l.duties.Claim(within, l.duty, l.term)
		cancel()
		switch {
		case err == nil && has:
			until = next
		case err == nil, !time.Now().Before(until):
			close(l.lost)
			return
		}
	}
}

// releaseWithin limits the time to give up a duty. Otherwise it expires.
const releaseWithin = time.Second

// Release gives up the duty.
func (l *Lease) Release() {
	l.cancel()
	l.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
	defer cancel()
	_ = l.duties.Release(ctx, l.duty)
}
