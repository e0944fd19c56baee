package state

import (
	"errors"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A generation is a consistent state: two overlays over a bbolt file. It never changes;
// each commit and each step of a checkpoint publishes a new one.
type generation struct {
	db     *bbolt.DB
	epoch  uint64   // number of the checkpoint that frozen belongs to
	live   overlay  // changed since frozen
	frozen overlay  // being moved into bbolt; nil without a checkpoint
	at     position // after live
	until  position // after frozen
}

// A position is a place in the sequence of all change sets.
type position struct {
	seq   uint64 // number of the last change set
	chain change.Chain
}

// publish replaces the generation by a changed copy of it.
func (f *File) publish(change func(*generation)) {
	f.publishing.Lock()
	defer f.publishing.Unlock()
	next := *f.gen.Load()
	change(&next)
	f.gen.Store(&next)
}

// begin returns the current generation and a transaction on its bbolt file.
func (f *File) begin() (*generation, *bbolt.Tx, error) {
	for {
		g := f.gen.Load()
		tx, err := f.beginOn(g)
		switch {
		case tx != nil:
			return g, tx, nil
		case err == nil: // the generation is too old
		case !errors.Is(err, berrors.ErrDatabaseNotOpen):
			return nil, nil, err
		case g.db == f.gen.Load().db: // otherwise Compact has just replaced it
			return nil, nil, ErrClosed
		}
	}
}

// beginOn returns a transaction for the generation, nil if bbolt may be too new for it.
//
// While a checkpoint moves the frozen overlay, bbolt has a part of its rows already. That
// does no harm, since the overlay hides them. But if the next checkpoint has begun since
// the generation was current, bbolt may have rows that are newer than all of its overlays.
func (f *File) beginOn(g *generation) (*bbolt.Tx, error) {
	tx, err := g.db.Begin(false)
	if err == nil && f.gen.Load().epoch != g.epoch {
		return nil, tx.Rollback()
	}
	return tx, err
}
