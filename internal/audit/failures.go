package audit

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

const (
	failuresEvery = time.Minute
	// maxPeers is the number of addresses that are counted separately in each period.
	maxPeers   = 16
	otherPeers = "other"
)

// failures counts failed authentications. Clients without a key can cause any number of
// them, so memory and entries are bounded, and no request waits for a commit.
type failures struct {
	write   func([]Entry) error
	routine *routine

	mu    sync.Mutex       // guards the fields below
	peers map[string]Entry // by address
	err   error            // why the last flush failed
}

func startFailures(write func([]Entry) error) *failures {
	f := &failures{write: write, peers: map[string]Entry{}}
	f.routine = every(failuresEvery, f.flush)
	return f
}

func failureFrom(peer string) Entry {
	return Entry{Count: 1, Event: secret.Event{
		Time: time.Now().UTC(), From: peer, Action: Authenticate, Outcome: secret.Denied,
	}}
}

func (f *failures) count(e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.countLocked(e)
}

func (f *failures) countLocked(e Entry) {
	if _, known := f.peers[e.Event.From]; !known && len(f.peers) >= maxPeers {
		e.Event.From = otherPeers
	}
	if counted, ok := f.peers[e.Event.From]; ok {
		e.Count += counted.Count
		if counted.Event.Time.Before(e.Event.Time) {
			e.Event.Time = counted.Event.Time
		}
	}
	f.peers[e.Event.From] = e
}

func (f *failures) flush() {
	taken := f.take()
	if len(taken) == 0 {
		return
	}
	err := f.write(taken)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	if err != nil {
		for _, e := range taken {
			f.countLocked(e)
		}
	}
}

func (f *failures) take() (taken []Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, peer := range slices.Sorted(maps.Keys(f.peers)) {
		taken = append(taken, f.peers[peer])
	}
	clear(f.peers)
	return taken
}

func (f *failures) close() error {
	f.routine.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
