// Package delivery knows when the values of each secret were last delivered,
// and to whom. The audit log has every delivery; this is what of it is asked
// for most, so that nobody has to look through the log.
//
// A [Tracker] stands before the log and sees what goes on record. It writes to the
// state file now and then, and after a crash reads in the log what it had not
// written: so what it says is true, and costs a delivery nothing.
package lastaccess

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Ring seals rows and hides what they are found by. It is *seal.Ring.
type Ring interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	SealedByPrimary(sealed []byte) bool
	MAC(name []byte) [16]byte
}

// A Log keeps the record.
type Log interface {
	secret.Recorder
	Append(tx *state.Tx, e secret.Event) error
}

// An Archive is what was put on record. It is *audit.Log.
type Archive interface {
	Read(seq uint64, limit int) ([]audit.Entry, error)
	Tail(limit int) ([]audit.Entry, error)
}

// A Last is the last delivery of a secret's values.
type Access struct {
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
	Key     string    `json:"key,omitempty"`
}

// A Tracker knows the last delivery of each secret. It is safe for concurrent use.
type Tracker struct {
	file    *state.File
	ring    Ring
	next    Log
	archive Archive
	log     *slog.Logger

	full chan struct{} // there is enough to be written
	stop chan struct{}
	done chan struct{} // closed when nothing runs in the background

	inTx    uncommitted // of whoever has the transaction
	written uint64      // number of the last audit entry that is reflected in the file; of whoever flushes

	mu      sync.Mutex // guards what follows
	pending map[secret.Ref]Access
}

// uncommitted are the events of a transaction that is not committed yet. Others in
// the same one have to reckon with them: memory does not know of them.
type uncommitted struct {
	tx     *state.Tx
	events []secret.Event
}

// of is about the transaction, and forgets the events of any other: one that is
// over, or that begins anew, which makes it another one.
func (u *uncommitted) of(tx *state.Tx) *uncommitted {
	if u.tx != tx {
		*u = uncommitted{tx: tx}
	}
	return u
}

var _ Log = (*Tracker)(nil)

const (
	// flushEvery is how much of the log is to be read at most after a crash.
	flushEvery = time.Minute
	// maxPending bounds the memory.
	maxPending = 4096
	// maxBehind is how many entries the file may be behind without a lastaccess.
	maxBehind = 10_000
	// readAtOnce bounds the memory of reading the log.
	readAtOnce = 1000
)

// Open returns the book in the file. What goes on record goes on to next. Close
// it before them.
func Open(file *state.File, ring Ring, next Log, archive Archive, log *slog.Logger) (*Tracker, error) {
	t := &Tracker{
		file: file, ring: ring, next: next, archive: archive, log: log,
		full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), pending: map[secret.Ref]Access{},
	}
	if err := t.catchUp(); err != nil {
		return nil, err
	}
	go t.run()
	return t, nil
}

// catchUp reads in the log what is not in the file.
func (t *Tracker) catchUp() error {
	from, err := t.readWritten()
	if err != nil {
		return err
	}
	t.written = from
	for {
		entries, err := t.archive.Read(from, readAtOnce)
		if err != nil {
			t.log.Error("looking for the last deliveries in the audit log", "error", err)
			return nil // the log says itself what is wrong with it
		}
		for _, e := range entries {
			from = e.Seq
			if e.Names == nil {
				t.apply(e.Event)
			}
			for name := range e.Names { // that were delivered at about that time
				e.Event.Ref.Name = name
				t.apply(e.Event)
			}
		}
		if len(entries) < readAtOnce {
			return nil
		}
	}
}

// Append implements [Log].
func (t *Tracker) Append(tx *state.Tx, e secret.Event) error {
	if err := t.next.Append(tx, e); err != nil {
		return err
	}
	if !matters(e) {
		return nil
	}
	inTx := t.inTx.of(tx)
	inTx.events = append(inTx.events, e)
	tx.OnCommit(func() { t.apply(e) })
	switch e.Action {
	case secret.Destroy, secret.Erase:
		return t.forget(tx, e.Ref)
	case secret.Reveal:
		return nil
	}
	return t.move(tx, e.Ref, e.NewName)
}

// matters reports whether the event changes what is known of deliveries.
func matters(e secret.Event) bool {
	switch e.Action {
	case secret.Reveal, secret.Destroy, secret.Erase:
		return e.Outcome == secret.Done
	}
	return e.NewName != "" && e.Outcome == secret.Done
}

// heed has memory know of an event, in the order in which they went on record.
func (t *Tracker) apply(e secret.Event) {
	if !matters(e) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	apply(t.pending, e)
	t.signalIfFullLocked()
}

// heed has the deliveries be as they are after an event that matters.
func apply(deliveries map[secret.Ref]Access, e secret.Event) {
	switch e.Action {
	case secret.Reveal:
		deliveries[e.Ref] = Access{e.Time, e.Subject, e.Key}
	case secret.Destroy, secret.Erase:
		for ref := range deliveries {
			if ref == e.Ref || (e.Action == secret.Erase && ref.Owner == e.Ref.Owner) {
				delete(deliveries, ref)
			}
		}
	default:
		renamed := secret.Ref{Owner: e.Ref.Owner, Name: e.NewName}
		delete(deliveries, renamed) // of another secret, which is gone
		if last, ok := deliveries[e.Ref]; ok {
			delete(deliveries, e.Ref)
			deliveries[renamed] = last
		}
	}
}

func (t *Tracker) signalIfFullLocked() {
	if len(t.pending) < maxPending {
		return
	}
	select {
	case t.full <- struct{}{}:
	default: // it is told already
	}
}

// Record implements [secret.Recorder].
func (t *Tracker) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	return t.next.Record(ctx, e, steps...)
}

// Note implements [secret.Recorder]. It is told of deliveries by stores that do
// not record: their intent was on record before.
func (t *Tracker) Note(e secret.Event) error {
	if err := t.next.Note(e); err != nil {
		return err
	}
	t.apply(e)
	return nil
}

// Last returns the last delivery of the secret's values, if there was any.
func (t *Tracker) Last(ref secret.Ref) (last Access, ok bool, err error) {
	if last, ok = t.lookUp(ref); ok {
		return last, true, nil
	}
	err = t.file.View(func(tx *state.Tx) error {
		last, ok, err = t.read(tx, ref)
		return err
	})
	return last, ok, err
}

func (t *Tracker) lookUp(ref secret.Ref) (Access, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, ok := t.pending[ref]
	return last, ok
}

func (t *Tracker) run() {
	defer close(t.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-t.full:
		case <-t.stop:
			return
		}
		if err := t.flush(maxBehind); err != nil {
			t.log.Warn("writing when secrets were last delivered", "error", err)
		}
	}
}

// Close writes what is not in the file.
func (t *Tracker) Close() error {
	close(t.stop)
	<-t.done
	if err := t.flush(readAtOnce); err != nil { // the next one finds it in the log
		t.log.Warn("writing when secrets were last delivered", "error", err)
	}
	return nil
}

// flush writes what is pending, unless there is nothing and the file is not far
// behind the log.
func (t *Tracker) flush(behind uint64) error {
	last, err := t.archive.Tail(1)
	if err != nil || len(last) == 0 {
		return err
	}
	head := last[0].Seq
	if t.isEmpty() && head < t.written+behind {
		return nil
	}
	err = t.file.Update(context.Background(), func(tx *state.Tx) error {
		// Only here: whatever was on record when the head was read has been
		// noted before this transaction began.
		pending := t.copyPending()
		for _, e := range t.inTx.of(tx).events {
			apply(pending, e)
		}
		for ref, last := range pending {
			if err := t.write(tx, ref, last); err != nil {
				return err
			}
		}
		tx.OnCommit(func() { t.drop(pending) })
		return t.writeWritten(tx, head)
	})
	if err == nil {
		t.written = head
	}
	return err
}

func (t *Tracker) isEmpty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pending) == 0
}

func (t *Tracker) copyPending() map[secret.Ref]Access {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := make(map[secret.Ref]Access, len(t.pending))
	for ref, last := range t.pending {
		pending[ref] = last
	}
	return pending
}

// drop forgets what is in the file, unless there is something newer.
func (t *Tracker) drop(written map[secret.Ref]Access) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref, last := range written {
		if t.pending[ref] == last {
			delete(t.pending, ref)
		}
	}
}
