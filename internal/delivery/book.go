// Package delivery knows when the values of each secret were last delivered,
// and to whom. The audit log has every delivery; this is what of it is asked
// for most, so that nobody has to look through the log.
//
// A [Book] stands before the log and sees what goes on record. It writes to the
// state file now and then, and after a crash reads in the log what it had not
// written: so what it says is true, and costs a delivery nothing.
package delivery

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
type Last struct {
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"`
	Key     string    `json:"key,omitempty"`
}

// A Book knows the last delivery of each secret. It is safe for concurrent use.
type Book struct {
	file    *state.File
	ring    Ring
	next    Log
	archive Archive
	log     *slog.Logger

	full chan struct{} // there is enough to be written
	stop chan struct{}
	done chan struct{} // closed when nothing runs in the background

	inTx    underWay // of whoever has the transaction
	written uint64   // number of the last audit entry that is reflected in the file; of whoever flushes

	mu      sync.Mutex // guards what follows
	pending map[secret.Ref]Last
}

// underWay are the events of a transaction that is not committed yet. Others in
// the same one have to reckon with them: memory does not know of them.
type underWay struct {
	tx     *state.Tx
	events []secret.Event
}

// of is about the transaction, and forgets the events of any other: one that is
// over, or that begins anew, which makes it another one.
func (u *underWay) of(tx *state.Tx) *underWay {
	if u.tx != tx {
		*u = underWay{tx: tx}
	}
	return u
}

var _ Log = (*Book)(nil)

const (
	// flushEvery is how much of the log is to be read at most after a crash.
	flushEvery = time.Minute
	// maxPending bounds the memory.
	maxPending = 4096
	// maxBehind is how many entries the file may be behind without a delivery.
	maxBehind = 10_000
	// readAtOnce bounds the memory of reading the log.
	readAtOnce = 1000
)

// Open returns the book in the file. What goes on record goes on to next. Close
// it before them.
func Open(file *state.File, ring Ring, next Log, archive Archive, log *slog.Logger) (*Book, error) {
	b := &Book{
		file: file, ring: ring, next: next, archive: archive, log: log,
		full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), pending: map[secret.Ref]Last{},
	}
	if err := b.catchUp(); err != nil {
		return nil, err
	}
	go b.run()
	return b, nil
}

// catchUp reads in the log what is not in the file.
func (b *Book) catchUp() error {
	from, err := b.readWritten()
	if err != nil {
		return err
	}
	b.written = from
	for {
		entries, err := b.archive.Read(from, readAtOnce)
		if err != nil {
			b.log.Error("looking for the last deliveries in the audit log", "error", err)
			return nil // the log says itself what is wrong with it
		}
		for _, e := range entries {
			from = e.Seq
			if e.Names == nil {
				b.heed(e.Event)
			}
			for name := range e.Names { // that were delivered at about that time
				e.Event.Ref.Name = name
				b.heed(e.Event)
			}
		}
		if len(entries) < readAtOnce {
			return nil
		}
	}
}

// Append implements [Log].
func (b *Book) Append(tx *state.Tx, e secret.Event) error {
	if err := b.next.Append(tx, e); err != nil {
		return err
	}
	if !matters(e) {
		return nil
	}
	inTx := b.inTx.of(tx)
	inTx.events = append(inTx.events, e)
	tx.OnCommit(func() { b.heed(e) })
	switch e.Action {
	case secret.Destroy, secret.Erase:
		return b.forget(tx, e.Ref)
	case secret.Reveal:
		return nil
	}
	return b.move(tx, e.Ref, e.NewName)
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
func (b *Book) heed(e secret.Event) {
	if !matters(e) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	heed(b.pending, e)
	b.tellIfFullLocked()
}

// heed has the deliveries be as they are after an event that matters.
func heed(deliveries map[secret.Ref]Last, e secret.Event) {
	switch e.Action {
	case secret.Reveal:
		deliveries[e.Ref] = Last{e.Time, e.Subject, e.Key}
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

func (b *Book) tellIfFullLocked() {
	if len(b.pending) < maxPending {
		return
	}
	select {
	case b.full <- struct{}{}:
	default: // it is told already
	}
}

// Record implements [secret.Recorder].
func (b *Book) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	return b.next.Record(ctx, e, steps...)
}

// Note implements [secret.Recorder]. It is told of deliveries by stores that do
// not record: their intent was on record before.
func (b *Book) Note(e secret.Event) error {
	if err := b.next.Note(e); err != nil {
		return err
	}
	b.heed(e)
	return nil
}

// Last returns the last delivery of the secret's values, if there was any.
func (b *Book) Last(ref secret.Ref) (last Last, ok bool, err error) {
	if last, ok = b.lookUp(ref); ok {
		return last, true, nil
	}
	err = b.file.View(func(tx *state.Tx) error {
		last, ok, err = b.read(tx, ref)
		return err
	})
	return last, ok, err
}

func (b *Book) lookUp(ref secret.Ref) (Last, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, ok := b.pending[ref]
	return last, ok
}

func (b *Book) run() {
	defer close(b.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.full:
		case <-b.stop:
			return
		}
		if err := b.flush(maxBehind); err != nil {
			b.log.Warn("writing when secrets were last delivered", "error", err)
		}
	}
}

// Close writes what is not in the file.
func (b *Book) Close() error {
	close(b.stop)
	<-b.done
	if err := b.flush(readAtOnce); err != nil { // the next one finds it in the log
		b.log.Warn("writing when secrets were last delivered", "error", err)
	}
	return nil
}

// flush writes what is pending, unless there is nothing and the file is not far
// behind the log.
func (b *Book) flush(behind uint64) error {
	last, err := b.archive.Tail(1)
	if err != nil || len(last) == 0 {
		return err
	}
	head := last[0].Seq
	if b.isEmpty() && head < b.written+behind {
		return nil
	}
	err = b.file.Update(context.Background(), func(tx *state.Tx) error {
		// Only here: whatever was on record when the head was read has been
		// noted before this transaction began.
		pending := b.copyPending()
		for _, e := range b.inTx.of(tx).events {
			heed(pending, e)
		}
		for ref, last := range pending {
			if err := b.write(tx, ref, last); err != nil {
				return err
			}
		}
		tx.OnCommit(func() { b.drop(pending) })
		return b.writeWritten(tx, head)
	})
	if err == nil {
		b.written = head
	}
	return err
}

func (b *Book) isEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending) == 0
}

func (b *Book) copyPending() map[secret.Ref]Last {
	b.mu.Lock()
	defer b.mu.Unlock()
	pending := make(map[secret.Ref]Last, len(b.pending))
	for ref, last := range b.pending {
		pending[ref] = last
	}
	return pending
}

// drop forgets what is in the file, unless there is something newer.
func (b *Book) drop(written map[secret.Ref]Last) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ref, last := range written {
		if b.pending[ref] == last {
			delete(b.pending, ref)
		}
	}
}
