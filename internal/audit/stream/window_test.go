package stream

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
)

func TestWindowHasTheLastEntriesAndNoMore(t *testing.T) {
	const batches = 3 * windowEntries / maxEntries
	var w window
	for n := range uint64(batches) {
		w.add(time.Now(), audit.Position{Seq: n * maxEntries}, make([]audit.Entry, maxEntries))
	}
	if n := len(w.batches); n != windowEntries/maxEntries {
		t.Errorf("it has %d batches, want %d", n, windowEntries/maxEntries)
	}
	p, ok := w.before(time.Now())
	if got := batches*maxEntries - p.Seq; !ok || got != windowEntries {
		t.Errorf("%d entries are sent again, want %d", got, windowEntries)
	}
	if _, ok := w.before(time.Now()); ok {
		t.Error("they are sent again twice")
	}
}
