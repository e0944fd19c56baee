package audit

import (
	"context"
	"errors"
	"fmt"
)

// ErrTampered means that the log has been changed since it was written. The error is a
// [*Break], which says where and how.
var ErrTampered = errors.New("the audit log has been changed or damaged")

// A Break is the first place at which the chain is broken.
type Break struct {
	What      Tampering
	Seq, Last uint64 // the entry, or with Last the entries from Seq to it; for a bad head, the last entry before it
	Is        uint64 // for Moved: the number of the entry found there
}

// Tampering is a kind of change to a log.
type Tampering string

// The kinds of tampering. The log alone cannot reveal that it is an old copy: see
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

// Unwrap returns ErrTampered.
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
		return fmt.Sprintf("entry %d follows the last entry that the head names", b.Seq)
	case Foreign:
		return fmt.Sprintf("an unknown row precedes entry %d", b.Seq)
	case Wiped:
		return "it is empty: even its first entry has been removed"
	case BadHead:
		return "the head, which names the last entry, has been changed"
	case BadCheckpoint:
		return "the checkpoint before the first entry has been changed"
	default:
		return fmt.Sprintf("entry %d has been changed", b.Seq)
	}
}

func (b *Break) entries() string {
	if b.Seq == b.Last {
		return fmt.Sprintf("entry %d is", b.Seq)
	}
	return fmt.Sprintf("entries %d to %d are", b.Seq, b.Last)
}

// A Report describes the verified entries.
type Report struct {
	Entries     int
	First, Last Entry       // zero without entries
	Checkpoint  *Checkpoint // nil if nothing was ever pruned
}

// Verify checks the whole log. If the chain breaks, the error is a [*Break] and the
// report covers the entries before it.
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

// farthest limits the search for the original place of a moved entry.
const farthest = 1 << 16

// diagnose determines whether an entry that breaks the chain was moved from another place
// in the log, because its seal contains its number.
func (l *Log) diagnose(want uint64, sealed []byte, last uint64) *Break {
	for d := uint64(1); d <= min(farthest, last); d++ {
		for _, seq := range []uint64{want + d, want - d} { // a wrapped negative number is above last
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
