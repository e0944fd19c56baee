package audit

import (
	"bytes"

	"github.com/strongroom/strongroom/internal/state"
)

// Read returns at most limit entries behind seq. Each is authentic for its number. Only
// [Log.Verify] detects missing entries.
func (l *Log) Read(seq uint64, limit int) (found []Entry, err error) {
	err = l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		for key, stored := range log.From(after(seq)) {
			if len(found) >= limit || bytes.Equal(key, headKey) {
				return nil
			}
			e, err := l.read(numberOf(key), stored)
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		return nil
	})
	return found, err
}

// Tail returns at most limit of the last entries, checked as by Read.
func (l *Log) Tail(limit int) ([]Entry, error) {
	head, err := l.lastLink()
	if err != nil {
		return nil, err
	}
	return l.Read(head.Seq-min(head.Seq, uint64(max(limit, 0))), limit)
}

func (l *Log) lastLink() (head link, err error) {
	err = l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		head, err = l.head(&log)
		return err
	})
	return head, err
}
