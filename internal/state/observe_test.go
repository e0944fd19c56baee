package state_test

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

func TestJournalFillGrowsUntilACheckpoint(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	before, size := f.JournalFill()
	put := func(value []byte) {
		mustUpdate(t, f, func(tx *state.Tx) error {
			b := tx.Bucket("b")
			return b.Put([]byte("k"), value)
		})
	}
	put([]byte("v"))
	used, _ := f.JournalFill()
	if used <= before || used > size {
		t.Errorf("%d of %d bytes are used after a change, %d before", used, size, before)
	}
	if at := f.LastCheckpoint(); !at.IsZero() {
		t.Errorf("there was a checkpoint at %v", at)
	}
	large := make([]byte, size/4)
	began := time.Now().Truncate(time.Millisecond)
	for range 3 {
		put(large)
	}
	for f.LastCheckpoint().Before(began) {
		if time.Since(began) > time.Minute {
			t.Fatal("there is no checkpoint")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if used, _ := f.JournalFill(); used > size*3/4 {
		t.Errorf("%d of %d bytes are used after a checkpoint", used, size)
	}
}
