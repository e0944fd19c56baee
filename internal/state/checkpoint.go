package state

import (
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A checkpoint moves the rows of the overlay into bbolt, which frees a file of the
// journal:
//
//	freeze   with the turn: new changes go to a new overlay and to the other file
//	move     without it: the frozen rows go into bbolt, in several commits
//	thaw     the frozen overlay is dropped
//
// Locks are taken in this order: the turn, moving, publishing. A goroutine that holds
// moving never waits for the turn, so one that has the turn may wait for moving.
const (
	// sliceRows and sliceBytes limit a commit of a checkpoint. Other commits wait for
	// the same disk and the same processors.
	sliceRows  = 1000
	sliceBytes = 1 << 20
	// checkpointEvery limits the age of changes that only the journal has.
	checkpointEvery = 30 * time.Second
	// retryFull is the interval between attempts of a checkpoint on a full disk.
	retryFull = 250 * time.Millisecond
	// reserveShare is the part of a journal file that only reserved changes may use.
	reserveShare = 4
)

// checkpoints runs checkpoints in the background until the file is closed.
func (f *File) checkpoints() {
	defer close(f.checkpointed)
	tick := time.NewTicker(retryFull)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-f.due:
		case <-tick.C:
			if f.gen.Load().frozen == nil && time.Since(last) < checkpointEvery {
				continue
			}
		case <-f.done:
			return
		}
		last = time.Now()
		if f.checkpoint() == nil { // on a full disk the next tick tries again; otherwise the file is broken
			f.lastCheckpoint.Store(time.Now().UnixMilli())
		}
	}
}

// checkpointIfDue starts a checkpoint when half of the journal file is used.
func (f *File) checkpointIfDue() {
	if g := f.gen.Load(); g.frozen == nil && f.log.Used() > f.log.Bytes()/2 {
		select {
		case f.due <- struct{}{}:
		default:
		}
	}
}

// checkpoint moves all changes that were acknowledged before into bbolt. It does not turn
// the journal of an altered file, which is evidence.
func (f *File) checkpoint() error {
	if err := f.awaitComparison(); err != nil {
		return err
	}
	until := f.gen.Load().at.seq
	for first := true; ; first = false {
		if !f.takeTurn() {
			return ErrClosed
		}
		err := f.Err()
		if err == nil && first && len(f.unflushed) > 0 { // acknowledged before, too
			err, until = f.settle(), f.last.seq
		}
		g := f.gen.Load()
		if err == nil && g.frozen == nil && g.until.seq < until {
			err = f.freeze()
		}
		<-f.turn
		if err == nil {
			err = f.move(true)
		}
		if err != nil || f.gen.Load().until.seq >= until {
			return err
		}
	}
}

// freeze begins a checkpoint. The caller has the turn, and there is no frozen overlay.
func (f *File) freeze() error {
	if err := f.settle(); err != nil {
		return err
	}
	if err := f.outcome(f.log.Turn(f.last.seq + 1)); err != nil {
		return err
	}
	f.journalUsed.Store(f.log.Used())
	f.publish(func(g *generation) {
		g.epoch++
		g.frozen, g.live, g.until = g.live, overlay{}, g.at
	})
	return nil
}

// move moves the frozen overlay into bbolt, if there is one, and thaws. If it is not
// patient, a commit waits for it. Errors: ErrFull, after which it can be repeated, and
// those of [File.Err].
func (f *File) move(patient bool) error {
	if !patient {
		f.hurry.Add(1)
		defer f.hurry.Add(-1)
	}
	if err := f.awaitComparison(); err != nil {
		return err
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	return f.moveLocked()
}

func (f *File) moveLocked() error {
	g := f.gen.Load()
	if err := f.fileErr(); err != nil || g.frozen == nil {
		return err
	}
	for set := g.frozen.sorted(); ; {
		began := time.Now()
		n, err := f.moveSlice(g, set, sliceRows)
		if err != nil {
			f.noteFull(err)
			return err
		}
		if set = set[n:]; len(set) == 0 {
			break
		}
		f.pause(time.Since(began))
	}
	f.noteFull(nil)
	if f.wiping.Load() {
		if err := f.outcome(f.log.Wipe()); err != nil {
			return err
		}
	}
	f.thaw()
	return nil
}

// moveSlice moves some of the remaining rows in one commit, and returns their number.
// Only the last one says that the change sets have been applied: if a crash comes before
// it, all are applied again, over those that are there already.
func (f *File) moveSlice(g *generation, left []change.Row, most int) (n int, err error) {
	n = sliceEnd(left, most)
	return n, f.updateBolt(g.db, func(tx *boltTx) error {
		err := tx.apply(left[:n])
		if err == nil && n == len(left) {
			err = tx.putApplied(g.until)
		}
		return errors.Join(err, f.putMAC(tx, g.until))
	})
}

func (f *File) thaw() {
	f.log.Release()
	f.publish(func(g *generation) { g.frozen = nil })
}

func sliceEnd(set []change.Row, most int) int {
	size := 0
	for i, r := range set {
		if size += len(r.Key) + len(r.Value); i > 0 && (i == most || size > sliceBytes) {
			return i
		}
	}
	return len(set)
}

// pause lets queued changes go first, for at most as long as the last slice took, unless
// a commit waits for the checkpoint.
func (f *File) pause(most time.Duration) {
	for began := time.Now(); f.hasJobs() && f.hurry.Load() == 0 && time.Since(began) < most; {
		time.Sleep(time.Millisecond)
	}
}

// noteFull remembers whether the last checkpoint failed on a full disk.
func (f *File) noteFull(err error) {
	full := int64(0)
	if errors.Is(err, ErrFull) {
		full = time.Now().UnixNano()
	}
	f.fullSince.Store(full)
	if err == nil {
		f.refusing.Store(false)
	}
}

// isFull reports whether ordinary changes are refused: the disk is full, so that no
// checkpoint is possible, and only the reserve is left of the journal.
func (f *File) isFull() bool {
	full := f.fullSince.Load() != 0 && !f.log.Fits(0, f.log.Bytes()/reserveShare)
	f.refusing.Store(full)
	return full
}

// isFullStill reports whether a checkpoint failed on a full disk a moment ago, so that
// not every change tries again.
func (f *File) isFullStill() bool {
	return time.Now().UnixNano()-f.fullSince.Load() < int64(retryFull)
}

// makeRoom makes room in the journal for a record with this much content. An ordinary
// one leaves the reserve. It reports false if everything is in bbolt and the record does
// not fit into an empty file.
func (f *File) makeRoom(content int, ordinary bool) (fits bool, err error) {
	leaving := int64(0)
	if ordinary {
		leaving = f.log.Bytes() / reserveShare
	}
	for !f.log.Fits(content, leaving) {
		if err := f.settle(); err != nil {
			return false, err
		}
		switch g := f.gen.Load(); {
		case g.frozen != nil && f.isFullStill():
			err = ErrFull
		case g.frozen != nil:
			err = f.move(false)
		case g.until == g.at:
			return false, nil
		default:
			err = f.freeze()
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// writeThrough commits a change set to bbolt that does not fit into the journal. All
// changes before it are in bbolt already.
func (f *File) writeThrough(set []change.Row, next position) error {
	if err := f.awaitComparison(); err != nil {
		return err
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	// A reader with an older generation must begin again: its overlays could hide a part
	// of this set.
	f.publish(func(g *generation) { g.epoch++ })
	err := f.updateBolt(f.gen.Load().db, func(tx *boltTx) error {
		return errors.Join(tx.apply(set), tx.putApplied(next), f.putMAC(tx, next))
	})
	if err == nil {
		err = f.outcome(f.log.Turn(next.seq + 1))
	}
	if err != nil {
		return err
	}
	if f.wiping.Load() {
		if err := f.log.Wipe(); err != nil { // the change is in bbolt, so it must not fail as on a full disk
			f.stuckWith(err)
			return f.Err()
		}
	}
	f.log.Release()
	f.last = next
	f.publish(func(g *generation) { g.at, g.until = next, next })
	f.tell(set)
	return nil
}

// updateBolt commits to bbolt. The caller holds moving.
func (f *File) updateBolt(db *bbolt.DB, fn func(*boltTx) error) error {
	sum := f.sum
	err := guarded(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			b := &boltTx{tx: tx, auth: f.auth, sum: f.sum}
			err := fn(b)
			sum = b.sum
			return err
		})
	})
	if errors.Is(err, ErrDamaged) {
		f.stuckWith(err)
		return err
	}
	if err := f.outcome(err); err != nil {
		return err
	}
	f.sum = sum
	return nil
}
