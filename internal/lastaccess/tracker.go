// Package lastaccess records when the values of each secret were last read, and by which
// caller. The audit log has every read; this index answers the most frequent question
// without a scan of the log.
//
// A [Tracker] wraps the log and sees its events. It flushes to the state file
// periodically. After a crash it reads the entries that it had not flushed from the log,
// so that it is always correct and adds no work to a read.
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

// A Ring seals rows and computes their row keys. It is *seal.Ring.
type Ring interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	SealedByPrimary(sealed []byte) bool
	MAC(name []byte) [16]byte
}

// A Log records events. It is *audit.Log.
type Log interface {
	secret.Recorder
	Append(tx *state.Tx, e secret.Event) error
}

// An Archive returns recorded entries. It is *audit.Log.
type Archive interface {
	Read(seq uint64, limit int) ([]audit.Entry, error)
	Tail(limit int) ([]audit.Entry, error)
}

// An Access is a read of a secret's values.
type Access struct {
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
	Key     string    `json:"key,omitempty"`
}

// A Tracker knows the last access of each secret. It is safe for concurrent use.
type Tracker struct {
	file    *state.File
	ring    Ring
	next    Log
	archive Archive
	log     *slog.Logger

	full chan struct{} // signals that pending should be flushed
	stop chan struct{}
	done chan struct{} // closed when the background goroutine has ended

	inTx    uncommitted // guarded by the file's write transaction
	written uint64      // number of the last audit entry that the file reflects; used only by flush

	mu      sync.Mutex // guards the fields below
	pending map[secret.Ref]Access
}

// uncommitted holds the events of a transaction in progress. Later jobs of the same
// transaction must see these events, and memory does not have them yet.
type uncommitted struct {
	tx     *state.Tx
	events []secret.Event
}

// of returns the events of the transaction. If they are of another one, which has ended
// or was retried, it discards them first.
func (u *uncommitted) of(tx *state.Tx) *uncommitted {
	if u.tx != tx {
		*u = uncommitted{tx: tx}
	}
	return u
}

var _ Log = (*Tracker)(nil)

const (
	// flushEvery limits the part of the log to read after a crash.
	flushEvery = time.Minute
	// maxPending limits the memory for accesses not yet flushed.
	maxPending = 4096
	// maxBehind is the number of audit entries after which the position is written even
	// without an access.
	maxBehind = 10_000
	// readAtOnce limits the memory for reading the log.
	readAtOnce = 1000
)

// Open returns the tracker of the file. Events are passed on to next. Close it before
// next and the file.
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

// catchUp applies the audit entries that the file does not reflect.
func (t *Tracker) catchUp() error {
	from, err := t.readWritten()
	if err != nil {
		return err
	}
	t.written = from
	for {
		entries, err := t.archive.Read(from, readAtOnce)
		if err != nil {
			t.log.Error("reading last accesses from the audit log", "error", err)
			return nil // verification of the log reports the damage
		}
		for _, e := range entries {
			from = e.Seq
			if e.Names == nil {
				t.apply(e.Event)
			}
			for name := range e.Names { // coalesced reads at about that time
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

// matters reports whether the event changes a last access.
func matters(e secret.Event) bool {
	switch e.Action {
	case secret.Reveal, secret.Destroy, secret.Erase:
		return e.Outcome == secret.Done
	}
	return e.NewName != "" && e.Outcome == secret.Done
}

// apply updates memory. Events arrive in the order of the log.
func (t *Tracker) apply(e secret.Event) {
	if !matters(e) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	apply(t.pending, e)
	t.signalIfFullLocked()
}

// apply updates accesses by an event that matters.
func apply(accesses map[secret.Ref]Access, e secret.Event) {
	switch e.Action {
	case secret.Reveal:
		accesses[e.Ref] = Access{e.Time, e.Subject, e.Key}
	case secret.Destroy, secret.Erase:
		for ref := range accesses {
			if ref == e.Ref || (e.Action == secret.Erase && ref.Owner == e.Ref.Owner) {
				delete(accesses, ref)
			}
		}
	default:
		renamed := secret.Ref{Owner: e.Ref.Owner, Name: e.NewName}
		delete(accesses, renamed) // of an earlier secret with this name
		if last, ok := accesses[e.Ref]; ok {
			delete(accesses, e.Ref)
			accesses[renamed] = last
		}
	}
}

func (t *Tracker) signalIfFullLocked() {
	if len(t.pending) < maxPending {
		return
	}
	select {
	case t.full <- struct{}{}:
	default: // already signalled
	}
}

// Record implements [secret.Recorder].
func (t *Tracker) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	return t.next.Record(ctx, e, steps...)
}

// Note implements [secret.Recorder]. A store that does not record calls it after a read.
func (t *Tracker) Note(e secret.Event) error {
	if err := t.next.Note(e); err != nil {
		return err
	}
	t.apply(e)
	return nil
}

// Last returns the last access of the secret's values, if there was one.
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
			t.log.Warn("writing the last accesses of secrets", "error", err)
		}
	}
}

// Close flushes and ends the background goroutine.
func (t *Tracker) Close() error {
	close(t.stop)
	<-t.done
	if err := t.flush(readAtOnce); err != nil { // the next Open reads it from the log
		t.log.Warn("writing the last accesses of secrets", "error", err)
	}
	return nil
}

// flush writes pending accesses. It does nothing if there are none and the file is less
// than behind entries behind the log.
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
		// Copy inside the transaction: an event that was in the log when the head was
		// read has been applied before this transaction began.
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

// drop removes written accesses from memory, except for those replaced by newer ones.
func (t *Tracker) drop(written map[secret.Ref]Access) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref, last := range written {
		if t.pending[ref] == last {
			delete(t.pending, ref)
		}
	}
}
