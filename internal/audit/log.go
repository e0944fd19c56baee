// Package audit implements the audit log: every attempt on a secret, with its caller and
// outcome. The log is kept in the state file. Each entry is sealed and chained to the one
// before, so that without the keys none can be read, changed, dropped or moved.
//
// A write's entry is part of the write's transaction ([Log.Append]). An event that must
// be on disk before the response has a commit of its own ([Log.Record]). Lists are
// written within a second ([Log.Note]), and counts of failed authentications within a
// minute ([Log.Failed]).
//
// chain.go has the format. The chain cannot reveal that the whole file is an old copy; an
// [Anchor] kept elsewhere can.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A SealingKey seals entries for their places in the log, or computes the MACs of the chain.
type SealingKey interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	MAC(parts ...[]byte) []byte // 32 bytes
}

// A Follower is called for each event in the transaction that appends its entry, so that
// rows derived from events always agree with the log.
type Follower func(tx *state.Tx, e secret.Event) error

// A Log is the audit log of a state file. It is safe for concurrent use.
type Log struct {
	file      *state.File
	entry     SealingKey
	chain     SealingKey
	followers []Follower
	notes     *notes
	failures  *failures
	pruning   sync.Mutex // held while pruning
	unsent    string     // the destination whose unsent entries are kept, empty for none
	node      string     // see SetNode

	// genuine is a head that this process has authenticated, committed or not.
	genuine atomic.Pointer[[headBytes]byte]

	unwritten atomic.Uint64

	valueReadsWritten bool // but not flushed: see WriteValueReads
}

var _ secret.Recorder = (*Log)(nil)

// Open returns the log in the file, with the keys that seal and chain its entries. Close
// it before the file.
func Open(file *state.File, entry, chain SealingKey, followers ...Follower) *Log {
	l := &Log{file: file, entry: entry, chain: chain, followers: followers}
	l.notes = startNotes(l.appendAll)
	l.failures = startFailures(l.appendAll)
	return l
}

// Begin writes the first entry of a new log. A log without entries has therefore been
// wiped, and [Log.Check] and [Log.Verify] return an error.
func (l *Log) Begin(ctx context.Context) error {
	return l.Record(ctx, secret.Event{Time: time.Now().UTC(), Subject: "init", Action: Beginning, Outcome: secret.Done})
}

// WriteValueReads makes the entries of value reads precede the values in the journal of the
// state file, but not on the disk, where they are within 20 ms and the duration of a flush.
// A crash of the process loses none of them. Reads that are counted, for agent keys with a
// number of reads, are on disk first as ever. Call it before the first event.
func (l *Log) WriteValueReads() { l.valueReadsWritten = true }

// SetNode names the node in each entry that this process writes. Call it before the first
// event.
func (l *Log) SetNode(name string) { l.node = name }

// Close writes the pending notes and counts.
func (l *Log) Close() error { return errors.Join(l.notes.close(), l.failures.close()) }

// Record implements [secret.Recorder]. An event need not be about a secret: operations on
// the server are recorded here too.
func (l *Log) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	update := l.file.UpdateReserved
	if e.Missing { // a flood of these would use up the reserve
		update = l.file.Update
	}
	refused := false
	err := update(ctx, func(tx *state.Tx) error {
		refused = false
		for _, step := range steps {
			if err := step(tx); err != nil {
				refused = true
				return err
			}
		}
		return l.Append(tx, e)
	})
	if err != nil && !refused {
		l.unwritten.Add(1)
	}
	return err
}

// Unwritten returns the number of failed attempts to write entries since the process
// began. Entries that are written in the transactions of others are not in it.
func (l *Log) Unwritten() uint64 { return l.unwritten.Load() }

// Note implements [secret.Recorder]. Similar reads, and similar requests for missing
// secrets, are coalesced into one entry every 500 ms, with a count.
func (l *Log) Note(e secret.Event) error { return l.notes.add(e) }

// Failed counts a failed authentication by the client's address. It never waits for the
// disk: a minute's failures are one commit with a bounded number of entries, so clients
// without a key cannot make the server write more.
func (l *Log) Failed(from string) { l.failures.count(failureFrom(from)) }

// Append adds the event to the log in the transaction. If the end of the log has been
// tampered with, the error is a [*Break]; [Log.Mend] may then help.
func (l *Log) Append(tx *state.Tx, e secret.Event) error {
	return l.append(tx, Entry{Event: e, Count: 1})
}

func (l *Log) appendAll(entries []Entry) error {
	err := l.file.Update(context.Background(), func(tx *state.Tx) error {
		for _, e := range entries {
			if err := l.append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.unwritten.Add(1)
	}
	return err
}

// append continues from the head, not from the last entry in the bucket: if entries were
// cut off, the gap must remain visible.
func (l *Log) append(tx *state.Tx, e Entry) error {
	alone := !tx.Changed()
	log := tx.Bucket(bucket)
	head, err := l.head(&log)
	if err != nil {
		return err
	}
	e.Node = l.node
	text, err := lineOf(e).encode()
	if err != nil {
		return fmt.Errorf("encoding an audit entry: %w", err)
	}
	next := head.Seq + 1
	sealed := l.entry.Seal(text, l.entryPlace(next))
	mac := l.entryMAC(head.MAC, next, sealed)
	if err := log.Put(keyOf(next), append(mac[:], sealed...)); err != nil {
		return err
	}
	if err := l.putHead(&log, link{next, mac}); err != nil {
		return err
	}
	for _, follow := range l.followers {
		if err := follow(tx, e.Event); err != nil {
			return err
		}
	}
	// A read that is counted has changed the row of its key before.
	if alone && l.valueReadsWritten && isValueRead(e.Event) {
		tx.FlushLater()
	}
	return nil
}

// isValueRead reports whether values are returned after the entry: those that a store has
// read in the same transaction, or those that another store is asked for next.
func isValueRead(e secret.Event) bool {
	return e.Action == secret.Reveal && (e.Outcome == secret.Done || e.Outcome == secret.Unknown)
}
