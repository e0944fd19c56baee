package state

import (
	"errors"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/state/change"
)

// While a change is being flushed, changes that are flushed later do not wait: they are
// appended behind it, and acknowledged before it. They must not show it to their callers,
// since a power failure could take it back. A job that has read one of its rows, other
// than by [Bucket.Latest], therefore waits for the flush and runs again.

// settleMeanwhile is settle for the change set that was appended last. Meanwhile it commits
// changes that are flushed later.
func (f *File) settleMeanwhile(set []change.Row) error {
	f.follow(set)
	f.during = overlay{}
	f.during.apply(set)
	f.flushing.Store(true)
	defer func() {
		f.flushing.Store(false)
		f.during = nil
	}()
	flush, last := f.log.Flush()
	flushed := make(chan error, 1)
	go func() { flushed <- flush() }()
	for {
		select {
		case j := <-f.reserved:
			f.commitMeanwhile(j)
		case err := <-flushed:
			if err = f.outcome(err); err != nil {
				return err
			}
			f.noteFlushed(last)
			return nil
		}
	}
}

// commitMeanwhile commits those of the queued jobs that need not wait for the flush, and
// defers the others.
func (f *File) commitMeanwhile(first *job) {
	left, began := []*job{first}, time.Now()
	for len(f.reserved) > 0 && len(left) < maxBatch {
		left = append(left, <-f.reserved)
	}
	defer func() { f.deferred = append(f.deferred, left...) }() // after a panic, too
	for len(left) > 0 {
		tx, spoiler, err := f.run(left)
		if err == nil && spoiler < 0 {
			spoiler = waiting(left)
		}
		if err == nil && spoiler >= 0 {
			f.deferred = append(f.deferred, left[spoiler])
			left = slices.Delete(left, spoiler, spoiler+1)
			continue
		}
		if err != nil || f.appendMeanwhile(tx) != nil {
			return // the next commit has the same error, if it is not one of this moment
		}
		f.observe(len(left), began, &err)
		for _, j := range left {
			close(j.done)
		}
		left = nil
	}
}

// waiting returns the index of a job that has to wait for the disk, or -1.
func waiting(jobs []*job) int {
	for i, j := range jobs {
		if j.waits || j.panicked != nil {
			return i
		}
	}
	return -1
}

var errNoRoomMeanwhile = errors.New("the journal must be emptied first")

func (f *File) appendMeanwhile(tx *Tx) error {
	if tx.writes == 0 {
		return nil
	}
	set := tx.changes()
	f.encoded = change.Append(f.encoded[:0], set)
	if !f.log.Fits(len(f.encoded), 0) {
		return errNoRoomMeanwhile
	}
	next := f.next(f.encoded)
	if err := f.log.Append(next.chain, f.encoded); err != nil {
		return err
	}
	f.last = next
	f.unflushed = append(f.unflushed, unflushed{set, next})
	f.flushLater(set)
	return nil
}

// hasJobs reports whether changes are queued.
func (f *File) hasJobs() bool { return len(f.jobs)+len(f.reserved) > 0 }
