package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/binary"
	"math"

	"github.com/strongroom/strongroom/internal/state"
)

// stepEntries is the number of entries read in one transaction. Each step has its own
// snapshot, so that a walk through a long log blocks neither commits nor the growth of
// the file.
const stepEntries = 1024

// Entries calls fn with every entry in order and verifies the chain. The error is fn's,
// or a [*Break] that says where the chain is broken.
func (l *Log) Entries(fn func(Entry) error) error { return l.walk(context.Background(), fn) }

// numberOf returns the number in a key. For a key that is not of the log it returns a
// number that no entry has.
func numberOf(key []byte) uint64 {
	if len(key) != keyBytes {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func (l *Log) walk(ctx context.Context, fn func(Entry) error) error {
	var at link
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := l.step(at)
		for _, e := range found {
			if err := fn(e); err != nil {
				return err
			}
			at = e.link()
		}
		if err != nil || len(found) < stepEntries {
			return err
		}
	}
}

// step returns the next entries of the chain. If there are fewer than stepEntries, they
// are the last, and the end of the chain has been verified too. With an error it returns
// the entries before the break.
func (l *Log) step(at link) (found []Entry, err error) {
	err = l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		found, err = l.follow(&log, at)
		return err
	})
	return found, err
}

func (l *Log) follow(log *state.Bucket, at link) (found []Entry, err error) {
	start, err := l.checkpoint(log)
	if err != nil {
		return nil, err
	}
	rest := log.From(after(at.Seq))
	if start.Seq >= at.Seq { // at the beginning, or pruned since the last step
		at = start.link()
	}
	head, headErr := l.head(log)
	last := head.Seq
	if headErr != nil {
		last = math.MaxUint64 // unknown
	}
	for key, stored := range rest {
		if bytes.Equal(key, headKey) {
			break
		}
		if len(found) == stepEntries {
			return found, nil
		}
		e, err := l.next(at, key, stored, last)
		if err != nil {
			return found, err
		}
		found, at = append(found, e), e.link()
	}
	return found, endOf(at, head, headErr)
}

// next opens the entry that follows a link, or returns the break.
func (l *Log) next(at link, key, stored []byte, last uint64) (Entry, error) {
	seq, want := numberOf(key), at.Seq+1
	switch {
	case seq < want:
		return Entry{}, &Break{What: Foreign, Seq: want}
	case want > last:
		return Entry{}, &Break{What: Beyond, Seq: seq}
	case seq > want:
		return Entry{}, &Break{What: Missing, Seq: want, Last: min(seq-1, last)}
	}
	mac, sealed, ok := split(stored)
	wantMAC := l.entryMAC(at.MAC, want, sealed)
	if !ok || !hmac.Equal(mac[:], wantMAC[:]) {
		return Entry{}, l.diagnose(want, sealed, last)
	}
	return l.read(want, stored)
}

// endOf compares the last entry with the head.
func endOf(at, head link, headErr error) error {
	switch {
	case headErr != nil:
		return &Break{What: BadHead, Seq: at.Seq}
	case head.Seq > at.Seq:
		return &Break{What: Truncated, Seq: at.Seq + 1, Last: head.Seq}
	case head != at:
		return &Break{What: BadHead, Seq: at.Seq}
	}
	return nil
}
