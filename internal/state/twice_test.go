//go:build twice

package state_test

import (
	"errors"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

func TestOnlyTheSecondRunCounts(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	runs := 0
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		if b.Get([]byte("k")) != nil {
			t.Error("the second run sees the first one's writes")
		}
		if runs++; runs == 1 {
			return errors.Join(b.Put([]byte("k"), []byte("first")), errors.ErrUnsupported)
		}
		return b.Put([]byte("k"), []byte("second"))
	})
	if got := get(t, f, "k"); err != nil || runs != 2 || got != "second" {
		t.Errorf("%d runs, %q, %v", runs, got, err)
	}
}
