package stream

import (
	"time"

	"github.com/strongroom/strongroom/internal/audit"
)

// Entries that a machine has accepted can wait in its kernel for a process that never
// reads them. So after a connection without acknowledgements broke, those of the last
// minutes are sent again, but no more than such a machine keeps: its buffers for a
// connection have 6 MiB by default (tcp(7)).
const (
	windowTime    = 5 * time.Minute
	windowEntries = 32 << 10 // of about 400 bytes
)

// A window has the batches that were delivered last.
type window struct {
	batches []batch
	entries int // in all batches
}

type batch struct {
	before  audit.Position // of the first entry
	at      time.Time      // of the delivery
	entries int
}

func (w *window) add(now time.Time, before audit.Position, entries []audit.Entry) {
	w.batches = append(w.batches, batch{before, now, len(entries)})
	w.entries += len(entries)
	for w.entries-w.batches[0].entries >= windowEntries || now.Sub(w.batches[0].at) > windowTime {
		w.entries -= w.batches[0].entries
		w.batches = w.batches[1:]
	}
}

// before returns the position before the batches that may be lost, and forgets them.
func (w *window) before(lost time.Time) (p audit.Position, some bool) {
	defer func() { *w = window{} }()
	for _, b := range w.batches {
		if lost.Sub(b.at) <= windowTime {
			return b.before, true
		}
	}
	return audit.Position{}, false
}
