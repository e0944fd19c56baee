package state

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/state/change"
)

// A job is one call of Update or UpdateReserved.
type job struct {
	fn       func(*Tx) error
	reserved bool // may use the reserve
	gaveUp   bool // and will not, see Tx.GiveUpReserve
	waits    bool // for the disk, after it has run
	err      error
	panicked any
	done     chan struct{} // closed when err and panicked are final
}

func (j *job) isDone() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// ordinary reports whether the job must leave the reserve to others.
func (j *job) ordinary() bool { return !j.reserved || j.gaveUp }

// maxBatch limits the jobs of one commit, and so the wait of the first one.
const maxBatch = 256

// commitQueued commits the queued jobs. There is no timer: a lone change commits at
// once, and a batch forms while a commit runs. The caller has the turn.
func (f *File) commitQueued() {
	if batch := f.queued(maxBatch); len(batch) > 0 {
		f.commit(batch)
	}
}

// queued takes the deferred jobs, and then others from the queues until it has the most.
func (f *File) queued(most int) (batch []*job) {
	batch, f.deferred = f.deferred, nil
	for len(batch) < most {
		select {
		case j := <-f.jobs:
			batch = append(batch, j)
		case j := <-f.reserved:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit runs all jobs in one transaction. If a job fails after it wrote, the
// transaction starts over without it, because its writes cannot be told from others'.
func (f *File) commit(batch []*job) {
	var failed error
	defer func(began time.Time) { f.observe(len(batch), began, &failed) }(time.Now())
	defer func() {
		f.release()
		for _, j := range batch {
			close(j.done)
		}
		f.checkpointIfDue()
	}()
	left := slices.Clone(batch)
	for len(left) > 0 {
		spoiler, err := f.try(left)
		switch {
		case spoiler >= 0:
			left = slices.Delete(left, spoiler, spoiler+1)
		case errors.Is(err, errLocked):
			more := f.queued(maxBatch - len(batch))
			batch, left = append(batch, more...), append(left, more...)
		case errors.Is(err, ErrConflict):
			f.noteConflict()
		case errors.Is(err, errBehind): // the newer changes have been applied
		case errors.Is(err, ErrFull):
			failed = err
			left = withReserve(left)
		default:
			failed = err
			fail(left, err)
			return
		}
	}
}

// withReserve returns the jobs to retry on a full disk: those with a right to the
// reserve, unless there are no others that may have been too large.
func withReserve(jobs []*job) []*job {
	var reserved, ordinary []*job
	for _, j := range jobs {
		if j.ordinary() {
			ordinary = append(ordinary, j)
		} else {
			reserved = append(reserved, j)
		}
	}
	fail(ordinary, ErrFull)
	if len(ordinary) > 0 {
		return reserved
	}
	fail(reserved, ErrFull)
	return nil
}

func fail(jobs []*job, err error) {
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
	}
}

// try runs the jobs and commits. It returns the index of a job that failed after it
// wrote, or -1 and the outcome for all jobs.
func (f *File) try(jobs []*job) (spoiler int, err error) {
	if err := f.Err(); err != nil {
		return -1, err
	}
	spoiler = -1 // after a panic
	defer f.breakOnPanic(&err)
	err = guarded(func() (err error) {
		spoiler, err = f.attempt(jobs)
		return err
	})
	if errors.Is(err, ErrDamaged) {
		f.stuckWith(err)
		return -1, err
	}
	return spoiler, err
}

// breakOnPanic makes a panic in our code, not in a job, an error that breaks the file.
func (f *File) breakOnPanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v\n%s", ErrBroken, p, debug.Stack())
		f.stuckWith(*err)
	}
}

func (f *File) attempt(jobs []*job) (spoiler int, err error) {
	if err := f.prepare(); err != nil {
		return -1, err
	}
	f.rehearse(jobs) // in tests only
	tx, spoiler, err := f.run(jobs)
	if err != nil {
		return -1, err
	}
	if spoiler >= 0 || tx.writes == 0 { // nothing is appended, which would prove that the state was current
		if err := f.confirmUnchanged(); err != nil {
			return -1, err
		}
		return spoiler, nil
	}
	return -1, f.write(tx.changes(), slices.ContainsFunc(jobs, (*job).ordinary), tx.flush)
}

// newTx returns a transaction that can write. The caller has the turn.
func (f *File) newTx(g *generation, bolt *bbolt.Tx) *Tx {
	return &Tx{bolt: bolt, gen: g, own: overlay{}, behind: f.behind, during: f.during, full: f.isFull()}
}

// run runs the jobs in one transaction, and returns it with their writes.
func (f *File) run(jobs []*job) (tx *Tx, spoiler int, err error) {
	g, bolt, err := f.begin()
	if err != nil {
		return nil, -1, fmt.Errorf("beginning a commit: %w", err)
	}
	defer func() { _ = bolt.Rollback() }()
	tx = f.newTx(g, bolt)
	for i, j := range jobs {
		before := tx.writes
		j.run(tx)
		if j.panicked != nil || errors.Is(j.err, ErrDamaged) || (j.err != nil && tx.writes > before) {
			return nil, i, nil
		}
	}
	return tx, -1, nil
}

func (j *job) run(tx *Tx) {
	defer func() { j.panicked = recover() }()
	tx.job, j.gaveUp = j, false
	tx.began, tx.later, tx.early = tx.writes, -1, false
	j.err = guarded(func() error { return j.fn(tx) })
	j.waits = tx.early || tx.Changed() && tx.later != tx.writes
	tx.flush = tx.flush || j.waits
}

// write writes a change set to the journal. If flush is set it makes it durable and
// publishes it and tells the watchers.
func (f *File) write(set []change.Row, ordinary, flush bool) error {
	f.encoded = change.Append(f.encoded[:0], set)
	next := f.next(f.encoded)
	fits, err := f.makeRoom(len(f.encoded), ordinary)
	switch {
	case err != nil:
		return err
	case !fits:
		err = f.writeThrough(set, next)
	default:
		err = f.append(set, next, flush)
	}
	if cap(f.encoded) > maxKept {
		f.encoded = nil
	}
	return err
}

// next returns the position of an encoded change set after the last one.
func (f *File) next(encoded []byte) position {
	seq := f.last.seq + 1
	return position{seq, f.last.chain.Next(f.chainKey, seq, encoded)}
}

// maxKept is the size of a buffer that is kept for the next commit.
const maxKept = 1 << 20

// append writes the encoded set to the journal.
func (f *File) append(set []change.Row, next position, flush bool) error {
	if err := f.leaveComplete(); err != nil {
		return err
	}
	if flush && len(f.unflushed) == 0 {
		f.build(unflushed{set, next})
	}
	if err := f.log.Append(next.chain, f.encoded); err != nil {
		f.takeBuilt()
		return f.outcome(err)
	}
	f.last = next
	f.unflushed = append(f.unflushed, unflushed{set, next})
	if !flush {
		f.flushLater(set)
		return nil
	}
	if f.node == nil && f.hasLater.Load() {
		return f.settleMeanwhile(set)
	}
	return f.settle()
}
