package audit

import (
	"bytes"
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// Mend repairs a log with a damaged or missing head, to which no entry can be appended.
// The log continues from its last entry. Mend cannot restore entries that were cut off,
// so an operator has to decide on it, and it is recorded in the log. A valid head is left
// unchanged.
func (l *Log) Mend(ctx context.Context, by secret.Event) (mended bool, err error) {
	by.Time, by.Action, by.Outcome = time.Now().UTC(), Mending, secret.Done
	err = l.file.Update(ctx, func(tx *state.Tx) error {
		mended = false
		log := tx.Bucket(bucket)
		if _, err := l.head(&log); err == nil {
			return nil
		}
		start, _ := l.checkpoint(&log) // if there is no checkpoint, use the last entry of the bucket
		mended = true
		if err := l.putHead(&log, lastOf(&log, start.link())); err != nil {
			return err
		}
		return l.append(tx, Entry{Event: by, Count: 1})
	})
	return mended && err == nil, err
}

// lastOf returns the last entry of the bucket, authentic or not. If it is not authentic,
// verification stops there.
func lastOf(log *state.Bucket, start link) link {
	last := start
	for key, stored := range log.From(after(start.Seq)) {
		mac, _, ok := split(stored)
		if ok && len(key) == keyBytes && !bytes.Equal(key, headKey) {
			last = link{numberOf(key), mac}
		}
	}
	return last
}
