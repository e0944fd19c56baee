package audit

import (
	"context"
	"errors"
	"fmt"
)

// ErrTampered means that the log is not as it was written. What is wrong, and
// where, says a [*Break], which is an ErrTampered too.
var ErrTampered = errors.New("the audit log has been changed or damaged")

// A Break is the first place at which the chain does not hold.
type Break struct {
	What      Tampering
	Seq, Last uint64 // the entry, or with Last the entries from Seq to it; of the head, the last one before it
	Is        uint64 // of Moved: the entry that is there
}

// Tampering is what was done to a log.
type Tampering string

// What can be done. That a log is an old copy it cannot tell by itself: see
// [ErrRolledBack].
const (
	Edited        Tampering = "edited"
	Missing       Tampering = "missing"
	Moved         Tampering = "out of order"
	Truncated     Tampering = "truncated"
	Beyond        Tampering = "beyond the head"
	Foreign       Tampering = "foreign"
	Wiped         Tampering = "wiped"
	BadHead       Tampering = "head damaged"
	BadCheckpoint Tampering = "checkpoint damaged"
)

func (b *Break) Error() string { return fmt.Sprintf("%v: %s", ErrTampered, b.where()) }

// Unwrap makes it an ErrTampered.
func (b *Break) Unwrap() error { return ErrTampered }

func (b *Break) where() string {
	switch b.What {
	case Missing:
		return b.entries() + " missing"
	case Truncated:
		return b.entries() + " missing at its end"
	case Moved:
		return fmt.Sprintf("entry %d is in the place of entry %d", b.Is, b.Seq)
	case Beyond:
		return fmt.Sprintf("entry %d is behind what the head says is the last", b.Seq)
	case Foreign:
		return fmt.Sprintf("before entry %d is something that does not belong there", b.Seq)
	case Wiped:
		return "it is empty, and never is: its beginning was the first entry"
	case BadHead:
		return "the head, which says where it ends, is not the one that was written"
	case BadCheckpoint:
		return "the checkpoint before the first entry is not the one that was written"
	default:
		return fmt.Sprintf("entry %d is not what was written", b.Seq)
	}
}

func (b *Break) entries() string {
	if b.Seq == b.Last {
		return fmt.Sprintf("entry %d is", b.Seq)
	}
	return fmt.Sprintf("entries %d to %d are", b.Seq, b.Last)
}

// A Report is what a verification found in order.
type Report struct {
	Entries     int
	First, Last Entry       // zero without entries
	Checkpoint  *Checkpoint // nil if nothing was ever pruned
}

// Verify walks through the whole log. If the chain breaks, the error is a
// [*Break] and the report is about what comes before it.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	var r Report
	err := l.walk(ctx, func(e Entry) error {
		if r.Entries == 0 {
			r.First = e
		}
		r.Last = e
		r.Entries++
		return nil
	})
	if start, startErr := l.Checkpoint(); startErr == nil && start.Seq > 0 {
		r.Checkpoint = &start
	}
	if err == nil && r.Entries == 0 && r.Checkpoint == nil {
		err = &Break{What: Wiped}
	}
	return r, err
}

// farthest bounds how far from its place a moved entry is looked for.
const farthest = 1 << 16

// diagnose says whether what does not follow in the chain is another entry of
// the log: its seal knows its number.
func (l *Log) diagnose(want uint64, sealed []byte, last uint64) *Break {
	for d := uint64(1); d <= min(farthest, last); d++ {
		for _, seq := range []uint64{want + d, want - d} { // below zero is above last
			if seq == 0 || seq > last {
				continue
			}
			if _, err := l.entry.Open(sealed, l.entryPlace(seq)); err == nil {
				return &Break{What: Moved, Seq: want, Is: seq}
			}
		}
	}
	return &Break{What: Edited, Seq: want}
}
