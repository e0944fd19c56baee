// Package audit keeps the record of who attempted what on which secret: a log
// in the state file in which every entry is sealed and chained to the one
// before, so that none can be read, changed, dropped or moved without the keys.
//
// A write's entry goes into the write's own transaction ([Log.Append]);
// whatever else must be on record before it is answered costs a commit of its
// own ([Log.Record]); lists follow within a second ([Log.Note]) and failed
// authentications within a minute, counted ([Log.Failed]).
//
// How entries are kept and chained is in chain.go. What the chain cannot show,
// that the whole file is an old copy, an [Anchor] outside of it does.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Key seals entries for their places in the log, or chains them.
type Key interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	MAC(parts ...[]byte) []byte // 32 bytes
}

// A Log is the audit log of a state file. It is safe for concurrent use.
type Log struct {
	file     *state.File
	entry    Key
	chain    Key
	notes    *notes
	failures *failures
	pruning  sync.Mutex // held by whoever prunes

	// A head that this process authenticated, whether or not it was committed.
	genuine atomic.Pointer[[headBytes]byte]
}

var _ secret.Recorder = (*Log)(nil)

// Open returns the log in the file, sealed with one key and chained with
// another. Close it before the file.
func Open(file *state.File, entry, chain Key) *Log {
	l := &Log{file: file, entry: entry, chain: chain}
	l.notes = startNotes(l.appendAll)
	l.failures = startFailures(l.appendAll)
	return l
}

// Begin puts on record that the log begins. A log without any entry therefore
// was wiped: [Log.Check] and [Log.Verify] say so.
func (l *Log) Begin(ctx context.Context) error {
	return l.Record(ctx, secret.Event{Time: time.Now().UTC(), Subject: "init", Action: Beginning, Outcome: secret.Done})
}

// Close puts on record what has been noted and counted.
func (l *Log) Close() error { return errors.Join(l.notes.close(), l.failures.close()) }

// Record implements [secret.Recorder]. An event need not be about a secret:
// what is done to the server goes on record here too.
func (l *Log) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	return l.file.UpdateReserved(ctx, func(tx *state.Tx) error {
		for _, step := range steps {
			if err := step(tx); err != nil {
				return err
			}
		}
		return l.Append(tx, e)
	})
}

// Note implements [secret.Recorder]. Reads that differ only in time, request
// and secret are one entry every half second, with their numbers.
func (l *Log) Note(e secret.Event) error { return l.notes.add(e) }

// Failed counts an authentication that failed, by the address it came from. It
// never waits for the disk: a minute's failures are one commit, of a bounded
// number of entries, so nobody without a key can make the server write more.
func (l *Log) Failed(from string) { l.failures.count(failureFrom(from)) }

// Append puts the event on record in the transaction. On a log whose end has
// been tampered with the error is a [*Break], and [Log.Mend] may help.
func (l *Log) Append(tx *state.Tx, e secret.Event) error {
	return l.append(tx, Entry{Event: e, Count: 1})
}

func (l *Log) appendAll(entries []Entry) error {
	return l.file.Update(context.Background(), func(tx *state.Tx) error {
		for _, e := range entries {
			if err := l.append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// append goes on from the head and not from the last entry there is: where the
// log's end has been cut off, a gap is what has to remain.
func (l *Log) append(tx *state.Tx, e Entry) error {
	log := tx.Bucket(bucket)
	head, err := l.head(&log)
	if err != nil {
		return err
	}
	text, err := json.Marshal(lineOf(e))
	if err != nil {
		return fmt.Errorf("encoding an audit entry: %w", err)
	}
	next := head.Seq + 1
	sealed := l.entry.Seal(text, l.entryPlace(next))
	mac := l.entryMAC(head.MAC, next, sealed)
	if err := log.Put(keyOf(next), append(mac[:], sealed...)); err != nil {
		return err
	}
	return l.putHead(&log, link{next, mac})
}
