package audit

import (
	"errors"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	// notesEvery leaves room for a commit within the second that is promised.
	notesEvery = 500 * time.Millisecond
	// maxNoted bounds the memory: whoever fills it waits until it is written.
	maxNoted = 16 << 10
	// maxNames bounds an entry.
	maxNames = 512
)

// notes are events that need not be on record at once. Those alike are
// counted, so that somebody who polls does not fill the disk.
type notes struct {
	write   func([]Entry) error
	routine *routine

	flushing sync.Mutex // held from taking the notes until they are on record

	mu      sync.Mutex // guards what follows
	latest  map[likeness]*note
	pending []*note
	noted   int   // what pending tells apart
	err     error // why the last flush failed
}

// A note counts reads that differ in time, request and secret only, or is one
// other event.
type note struct {
	first secret.Event
	names map[string]int // how often which secret; empty names stand for lists
}

// A likeness is what the events of a note have in common.
type likeness struct {
	event secret.Event
	named bool
}

// likenessOf has only reads be alike, and what was missing: how something that was
// begun has ended is an entry of its own.
func likenessOf(e secret.Event) likeness {
	if e.Action != secret.List && e.Action != secret.History && !e.Missing {
		return likeness{event: e}
	}
	named := e.Ref.Name != ""
	e.Time, e.Request, e.Ref.Name = time.Time{}, "", ""
	return likeness{e, named}
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
	n := &notes{write: write, latest: map[likeness]*note{}}
	n.routine = every(notesEvery, n.flush)
	return n
}

// add returns an error if events cannot be put on record. A full disk is none
// as long as there is room in memory: reads go on.
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
	like := likenessOf(e)
	alike := n.latest[like]
	if alike == nil || len(alike.names) >= maxNames {
		alike = &note{first: e, names: map[string]int{}}
		n.latest[like] = alike
		n.pending = append(n.pending, alike)
	}
	before := len(alike.names)
	alike.names[e.Ref.Name] += times
	n.noted += len(alike.names) - before
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

// putBackLocked puts the notes before those that came since.
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
