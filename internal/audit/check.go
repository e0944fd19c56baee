package audit

import (
	"bytes"

	"github.com/strongroom/strongroom/internal/state"
)

// Check verifies the end of the log: the head must be authentic and name the last entry.
// The cost does not depend on the log's length. The error is a [*Break].
func (l *Log) Check() error {
	return l.file.View(func(tx *state.Tx) error {
		log := tx.Bucket(bucket)
		end, err := l.checkEnd(&log)
		if err == nil && end.Seq == 0 {
			err = &Break{What: Wiped}
		}
		return err
	})
}

func (l *Log) checkEnd(log *state.Bucket) (link, error) {
	head, err := l.head(log)
	if err != nil {
		return link{}, err
	}
	start, err := l.checkpoint(log)
	if err != nil {
		return link{}, err
	}
	last, err := linkAt(log, start.link(), head.Seq)
	if err != nil {
		return link{}, &Break{What: Truncated, Seq: head.Seq, Last: head.Seq}
	}
	if last != head {
		return link{}, &Break{What: BadHead, Seq: head.Seq}
	}
	for key := range log.From(after(head.Seq)) {
		if !bytes.Equal(key, headKey) {
			return link{}, &Break{What: Beyond, Seq: numberOf(key)}
		}
	}
	return head, nil
}

// linkAt returns the link of an entry that is not before start.
func linkAt(log *state.Bucket, start link, seq uint64) (link, error) {
	if seq == start.Seq {
		return start, nil
	}
	mac, _, ok := split(log.Get(keyOf(seq)))
	if !ok {
		return link{}, &Break{What: Missing, Seq: seq, Last: seq}
	}
	return link{seq, mac}, nil
}
