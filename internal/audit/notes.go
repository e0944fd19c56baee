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
	// maxNotes bounds the memory: whoever fills it waits until it is written.
	maxNotes = 4096
)

// notes are events that need not be on record at once. Those alike are
// counted, so that somebody who polls does not fill the disk.
type notes struct {
	write   func([]Entry) error
	routine *routine

	flushing sync.Mutex // held from taking the notes until they are on record

	mu      sync.Mutex // guards what follows
	places  map[secret.Event]int
	pending []Entry
	err     error // why the last flush failed
}

func startNotes(write func([]Entry) error) *notes {
	n := &notes{write: write, places: map[secret.Event]int{}}
	n.routine = every(notesEvery, n.flush)
	return n
}

// add returns an error if events cannot be put on record. A full disk is none
// as long as there is room in memory: reads go on.
func (n *notes) add(e secret.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) >= maxNotes {
		n.mu.Unlock()
		n.flush()
		n.mu.Lock()
		if n.err != nil {
			return n.err
		}
	}
	n.countLocked(Entry{Event: e, Count: 1})
	if errors.Is(n.err, state.ErrFull) {
		return nil
	}
	return n.err
}

func (n *notes) countLocked(e Entry) {
	alike := e.Event
	alike.Time, alike.Request = time.Time{}, ""
	if at, ok := n.places[alike]; ok {
		n.pending[at].Count += e.Count
		return
	}
	n.places[alike] = len(n.pending)
	n.pending = append(n.pending, e)
}

func (n *notes) flush() {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	taken := n.take()
	if len(taken) == 0 {
		return
	}
	err := n.write(taken)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
	if err != nil {
		n.putBackLocked(taken)
	}
}

func (n *notes) take() []Entry {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := n.pending
	n.pending = nil
	clear(n.places)
	return taken
}

// putBackLocked puts the notes before those that came since.
func (n *notes) putBackLocked(taken []Entry) {
	since := n.pending
	n.pending = nil
	clear(n.places)
	for _, e := range append(taken, since...) {
		n.countLocked(e)
	}
}

func (n *notes) close() error {
	n.routine.end()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}
