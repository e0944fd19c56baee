package state

import (
	"context"
	"time"
)

// A Compaction says when compactions took place, and whether one is needed. Its times are
// zero if there is none.
type Compaction struct {
	Since   time.Time // when the one in progress began
	Ended   time.Time // when the last one ended
	Removed time.Time // the last call of Removed that no compaction has followed
}

// Compaction returns what is known about compactions of the file.
func (f *File) Compaction() (c Compaction, err error) {
	if since := f.compactingSince.Load(); since != 0 {
		c.Since = time.Unix(0, since)
	}
	err = f.View(func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		c.Ended, c.Removed = timeIn(header.Get(compactedKey)), timeIn(header.Get(removedKey))
		return nil
	})
	return c, err
}

// Removed notes that content was removed for good, which remains in free pages and in old
// records of the journal until a compaction.
func (f *File) Removed(ctx context.Context) error {
	return f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		return header.Put(removedKey, timeRow(time.Now()))
	})
}

// noteCompaction notes the end of a compaction. Content that was removed since it began
// still needs another.
func (f *File) noteCompaction(ctx context.Context, before Compaction) error {
	return f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		if timeIn(header.Get(removedKey)).Equal(before.Removed) {
			if err := header.Delete(removedKey); err != nil {
				return err
			}
		}
		return header.Put(compactedKey, timeRow(time.Now()))
	})
}

func timeRow(t time.Time) []byte { return t.UTC().AppendFormat(nil, time.RFC3339Nano) }

// timeIn returns the time in a row, zero for an absent row or one that has none.
func timeIn(row []byte) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, string(row))
	return t
}
