package audit

import (
	"errors"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	// notesEvery leaves time for a commit within the promised second.
	notesEvery = 500 * time.Millisecond
	// maxNoted limits the memory: the event that exceeds it waits for a flush.
	maxNoted = 16 << 10
	// maxNames limits the names in one entry.
	maxNames = 512
)

// notes holds events that need not be in the log at once. Similar events are coalesced
// and counted, so that a polling client does not fill the disk.
type notes struct {
	write   func([]Entry) error
	routine *routine

	flushing sync.Mutex // held from taking the notes until they are in the log

	mu      sync.Mutex // guards the fields below
	latest  map[coalesceKey]*note
	pending []*note
	noted   int   // number of names in pending
	err     error // why the last flush failed
}

// A note is a group of events that differ only in time, request and secret, or one event
// that is not coalesced.
type note struct {
	first secret.Event
	names map[string]int // number of events by secret; lists have the empty name
}

// A coalesceKey has the fields that all events of a note share.
type coalesceKey struct {
	event secret.Event
	named bool
}

// coalesceKeyOf returns the same key for similar reads, and for similar requests for a
// missing secret. Every other event, such as the outcome of a write, has an entry of its
// own.
func coalesceKeyOf(e secret.Event) coalesceKey {
	if !e.Action.ShowsOnly() && !e.Missing {
		return coalesceKey{event: e}
	}
	named := e.Ref.Name != ""
	e.Time, e.Request, e.Ref.Name = time.Time{}, "", ""
	return coalesceKey{e, named}
}

func (n *note) entry() Entry {
	e := Entry{Event: n.first}
	for _, count := range n.names {
		e.Count += count
	}
	if len(n.names) > 1 {
		e.Event.Ref.Name, e.Names = "", n.names
	}
	return e
}

func startNotes(write func([]Entry) error) *notes {
	n := &notes{write: write, latest: map[coalesceKey]*note{}}
	n.routine = every(notesEvery, n.flush)
	return n
}

// add returns an error if the log cannot be written. A full disk is not an error while
// there is room in memory, so that reads continue.
func (n *notes) add(e secret.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.noted >= maxNoted {
		n.mu.Unlock()
		n.flush()
		n.mu.Lock()
		if n.err != nil {
			return n.err
		}
	}
	n.countLocked(e, 1)
	if errors.Is(n.err, state.ErrFull) {
		return nil
	}
	return n.err
}

func (n *notes) countLocked(e secret.Event, times int) {
	key := coalesceKeyOf(e)
	same := n.latest[key]
	if same == nil || len(same.names) >= maxNames {
		same = &note{first: e, names: map[string]int{}}
		n.latest[key] = same
		n.pending = append(n.pending, same)
	}
	before := len(same.names)
	same.names[e.Ref.Name] += times
	n.noted += len(same.names) - before
}

func (n *notes) flush() {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	taken := n.take()
	if len(taken) == 0 {
		return
	}
	var entries []Entry
	for _, t := range taken {
		entries = append(entries, t.entry())
	}
	err := n.write(entries)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
	if err != nil {
		n.putBackLocked(taken)
	}
}

func (n *notes) take() []*note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.takeLocked()
}

func (n *notes) takeLocked() []*note {
	taken := n.pending
	n.pending, n.noted = nil, 0
	clear(n.latest)
	return taken
}

// putBackLocked puts the notes back, before newer ones.
func (n *notes) putBackLocked(taken []*note) {
	for _, t := range append(taken, n.takeLocked()...) {
		for name, times := range t.names {
			e := t.first
			e.Ref.Name = name
			n.countLocked(e, times)
		}
	}
}

func (n *notes) close() error {
	n.routine.end()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}
