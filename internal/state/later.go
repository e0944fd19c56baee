package state

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A change for which [Tx.FlushLater] was called is acknowledged when it is written to the
// journal, before it is on disk. A crash of the process does not lose it, because the
// kernel has it; a power failure may, for up to 20 ms and the duration of a flush. It is
// flushed with the next other change, and otherwise by flushes.
//
// Only transactions see it until it is flushed: a [File.View] never shows what a power
// failure could take back.

// laterBy is the time until a flush begins. It leaves as much for the flush.
const laterBy = 10 * time.Millisecond

// An unflushed change set is in the journal, but perhaps not on disk, and not published.
type unflushed struct {
	set []change.Row
	at  position
}

// flushLater asks for a flush of a change set that was appended. The flush then checks that
// a state file is in place. The caller has the turn.
func (f *File) flushLater(set []change.Row) {
	f.hasLater.Store(true)
	f.follow(set)
	f.askForFlush()
}

// follow adds a change set to those that only transactions see.
func (f *File) follow(set []change.Row) {
	if f.behind == nil {
		f.behind = overlay{}
	}
	f.behind.apply(set)
}

func (f *File) askForFlush() {
	select {
	case f.behindDue <- struct{}{}:
	default:
	}
}

// settle makes all change sets durable and publishes them. The caller has the turn.
func (f *File) settle() error {
	if len(f.unflushed) == 0 {
		return nil
	}
	if err := f.outcome(f.log.Sync()); err != nil {
		return err
	}
	f.publishFlushed(f.last.seq)
	return nil
}

// build begins to build the overlay with the first unflushed change set, while the caller waits
// for the disk or the database. Nothing changes the generation's overlay until publishFlushed
// takes it, or a failed append drops it: both have the turn.
func (f *File) build(first unflushed) {
	live, built := f.gen.Load().live, make(chan overlay, 1)
	f.built = built
	go func() { built <- live.with([]unflushed{first}) }()
}

// takeBuilt returns what build has built, nil for nothing.
func (f *File) takeBuilt() overlay {
	if f.built == nil {
		return nil
	}
	live := <-f.built
	f.built = nil
	return live
}

// publishFlushed publishes the change sets up to this number, which are on disk, and tells
// the watchers.
func (f *File) publishFlushed(last uint64) {
	n := 0
	for n < len(f.unflushed) && f.unflushed[n].at.seq <= last {
		n++
	}
	if n == 0 {
		return
	}
	live := f.takeBuilt()
	if live == nil || n > 1 { // what was built has only the first
		live = f.gen.Load().live.with(f.unflushed[:n])
	}
	f.publish(func(g *generation) { g.live, g.at = live, f.unflushed[n-1].at })
	for _, u := range f.unflushed[:n] {
		f.tell(u.set)
	}
	if f.node != nil {
		f.node.told.Store(f.gen.Load().at.seq)
	}
	f.unflushed, f.behind = slices.Clone(f.unflushed[n:]), nil
	for _, u := range f.unflushed {
		f.follow(u.set)
	}
}

// flushes flushes changes in the background until the file is closed.
func (f *File) flushes() {
	defer close(f.flushed)
	for {
		select {
		case <-f.behindDue:
		case <-f.done:
			return
		}
		select {
		case <-time.After(laterBy):
		case <-f.done:
			return
		}
		if !f.flushBehind() {
			return
		}
	}
}

// flushBehind flushes without the turn, so that no change waits for it. It reports false
// if the file is closed or broken.
func (f *File) flushBehind() bool {
	if !f.takeTurn() {
		return false
	}
	flush, last := f.log.Flush()
	idle := len(f.unflushed) == 0
	<-f.turn
	if idle { // another change was flushed meanwhile
		return true
	}
	if err := f.outcome(flush()); err != nil || !f.takeTurn() {
		return false
	}
	defer func() { <-f.turn }()
	f.noteFlushed(last)
	return true
}

// noteFlushed notes that the records up to this number are on disk, and asks for a flush of
// later ones.
func (f *File) noteFlushed(last uint64) {
	f.log.Flushed(last)
	f.publishFlushed(last)
	if len(f.unflushed) > 0 {
		f.askForFlush()
	}
}

// takeTurn reports false if the file is closed.
func (f *File) takeTurn() bool {
	select {
	case f.turn <- struct{}{}:
		return true
	case <-f.done:
		return false
	}
}
