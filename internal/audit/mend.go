package audit

import (
	"bytes"
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// Mend lets a log go on whose head is damaged or missing, so that nothing can
// be appended: from the last entry there is. What was cut off it cannot bring
// back, which is why an operator has to decide it and why it goes on record.
// A sound head it leaves alone.
func (l *Log) Mend(ctx context.Context, by secret.Event) (mended bool, err error) {
	by.Time, by.Action, by.Outcome = time.Now().UTC(), Mending, secret.Done
	err = l.file.Update(ctx, func(tx *state.Tx) error {
		mended = false
		log := tx.Bucket(bucket)
		if _, err := l.head(&log); err == nil {
			return nil
		}
		start, _ := l.checkpoint(&log) // without it, whatever is the last
		mended = true
		if err := l.putHead(&log, lastOf(&log, start.link())); err != nil {
			return err
		}
		return l.append(tx, Entry{Event: by, Count: 1})
	})
	return mended && err == nil, err
}

// lastOf returns the last entry there is, whether or not it is authentic: if
// it is not, the log verifies no further than to it.
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
