package state

import (
	"errors"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// OpenIdle opens a file without the goroutines that change it in the background.
func OpenIdle(path string, unlock Unlock) (*File, error) {
	owner, err := safefile.OwnerOf(path)
	if err != nil {
		return nil, err
	}
	return openIdle(path, owner, unlock, Options{})
}

// Abandon leaves a file from OpenIdle as a crash does.
func (f *File) Abandon() error {
	return errors.Join(f.log.Close(), f.gen.Load().db.Close())
}

// FreezeOnly begins a checkpoint and leaves it there.
func (f *File) FreezeOnly() error {
	if f.gen.Load().frozen != nil {
		return nil
	}
	return f.freeze()
}

// Thaw ends a checkpoint.
func (f *File) Thaw() error { return f.move(true) }

// CheckpointInSlices is Checkpoint with few rows in each commit, and calls step before
// the first and after each of them.
func (f *File) CheckpointInSlices(rows int, step func()) error {
	if err := f.freeze(); err != nil {
		return err
	}
	step()
	g := f.gen.Load()
	for left := g.frozen.sorted(); len(left) > 0; step() {
		n, err := f.moveSlice(g, left, rows)
		if err != nil {
			return err
		}
		left = left[n:]
	}
	f.thaw()
	return nil
}

// A Generation is a state that was current.
type Generation struct{ g *generation }

// Generation returns the current one.
func (f *File) Generation() Generation { return Generation{f.gen.Load()} }

// ViewOf is a View on an older generation. It reports false if that is too old.
func (f *File) ViewOf(old Generation, fn func(*Tx) error) (ok bool, err error) {
	tx, err := f.beginOn(old.g)
	if tx == nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	return true, fn(&Tx{bolt: tx, gen: old.g})
}

// Checkpoint moves all changes into bbolt.
func (f *File) Checkpoint() error { return f.checkpoint() }

// FailFlush makes the next flush of the journal fail. It reports false if nothing waits for
// a flush.
func (f *File) FailFlush() bool {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if len(f.unflushed) == 0 {
		return false
	}
	for _, file := range f.log.(*journal.Journal).Files() {
		_ = file.Close()
	}
	return true
}

// Flushing reports whether a change is being flushed that others do not wait for.
func (f *File) Flushing() bool { return f.flushing.Load() }
