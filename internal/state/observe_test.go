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
	opened := f.LastCheckpoint()
	if age := time.Since(opened); age < 0 || age > time.Minute {
		t.Errorf("the last checkpoint was at %v", opened)
	}
	large := make([]byte, size/4)
	began := time.Now()
	for range 3 {
		put(large)
	}
	for f.LastCheckpoint().Equal(opened) {
		if time.Since(began) > time.Minute {
			t.Fatal("there is no checkpoint")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if used, _ := f.JournalFill(); used > size*3/4 {
		t.Errorf("%d of %d bytes are used after a checkpoint", used, size)
	}
}
