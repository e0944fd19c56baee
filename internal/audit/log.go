// Package audit keeps the record of who attempted what on which secret: a log
// in the state file in which every entry is sealed and chained to the one
// before, so that none can be read, changed, dropped or moved without the keys.
//
// A write's entry goes into the write's own transaction ([Log.Append]);
// whatever else must be on record before it is answered costs a commit of its
// own ([Log.Record]); lists follow within a second ([Log.Note]).
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// An entry in the bucket: its number (8 bytes) → MAC (32) ‖ sealed entry, with
//
//	MAC = HMAC-SHA256(chain key, MAC of the entry before ‖ number ‖ sealed entry)
const (
	bucket   = "audit"
	seqBytes = 8
	macBytes = sha256.Size
)

// ErrTampered means that the log is not as it was written.
var ErrTampered = errors.New("the audit log has been changed or damaged")

// A Key seals entries for their places in the log, or chains them.
type Key interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	MAC(parts ...[]byte) []byte
}

// An Entry is an event on record.
type Entry struct {
	Seq   uint64
	Event secret.Event
	Count int // so many events alike, of which this was the first
}

// A Log is the audit log of a state file. It is safe for concurrent use.
type Log struct {
	file  *state.File
	entry Key
	chain Key
	notes *notes
}

var _ secret.Recorder = (*Log)(nil)

// Open returns the log in the file, sealed with one key and chained with
// another. Close it before the file.
func Open(file *state.File, entry, chain Key) *Log {
	l := &Log{file: file, entry: entry, chain: chain}
	l.notes = startNotes(l.appendAll)
	return l
}

// Close puts on record what has been noted.
func (l *Log) Close() error { return l.notes.close() }

// Record implements [secret.Recorder].
func (l *Log) Record(ctx context.Context, e secret.Event) error {
	return l.file.Update(ctx, func(tx *state.Tx) error { return l.Append(tx, e) })
}

// Note implements [secret.Recorder]. Reads that differ only in time and
// request are one entry a second, with their number.
func (l *Log) Note(e secret.Event) error { return l.notes.add(e) }

// Append puts the event on record in the transaction.
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

func (l *Log) append(tx *state.Tx, e Entry) error {
	log := tx.Bucket(bucket)
	lastKey, last := log.Last()
	e.Seq = 1
	if lastKey != nil {
		e.Seq = binary.BigEndian.Uint64(lastKey) + 1
	}
	text, err := json.Marshal(lineOf(e))
	if err != nil {
		return fmt.Errorf("encoding an audit entry: %w", err)
	}
	key := binary.BigEndian.AppendUint64(nil, e.Seq)
	sealed := l.entry.Seal(text, l.place(key))
	mac := l.chain.MAC(macOf(last), key, sealed)
	return log.Put(key, append(mac, sealed...))
}

func (l *Log) place(key []byte) []byte {
	return append([]byte("audit entry of "+l.file.ID()), key...)
}

// macOf returns the MAC of a stored entry; that of the entry before the first
// one is all zeros.
func macOf(stored []byte) []byte {
	if len(stored) < macBytes {
		return make([]byte, macBytes)
	}
	return stored[:macBytes]
}

// Entries calls fn with every entry in order, verifying the chain on the way.
// The error is fn's, or ErrTampered naming the entry at which the chain breaks.
func (l *Log) Entries(fn func(Entry) error) error {
	return l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		before, want := macOf(nil), uint64(1)
		for key, stored := range log.From([]byte{0}) {
			e, err := l.open(key, stored, before, want)
			if err != nil {
				return fmt.Errorf("entry %d: %w", want, err)
			}
			if err := fn(e); err != nil {
				return err
			}
			before, want = macOf(stored), want+1
		}
		return nil
	})
}

func (l *Log) open(key, stored, before []byte, want uint64) (Entry, error) {
	if len(key) != seqBytes || binary.BigEndian.Uint64(key) != want || len(stored) < macBytes {
		return Entry{}, ErrTampered
	}
	if !hmac.Equal(stored[:macBytes], l.chain.MAC(before, key, stored[macBytes:])) {
		return Entry{}, ErrTampered
	}
	text, err := l.entry.Open(stored[macBytes:], l.place(key))
	if err != nil {
		return Entry{}, ErrTampered
	}
	var entry line
	if err := json.Unmarshal(text, &entry); err != nil {
		return Entry{}, ErrTampered
	}
	return entry.entry(want), nil
}
