package state_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

var losses = map[string]func(t *testing.T, path string) error{
	"deleted": func(_ *testing.T, path string) error { return os.Remove(path) },
	"moved":   func(_ *testing.T, path string) error { return os.Rename(path, path+".old") },
	"replaced": func(t *testing.T, path string) error {
		return os.Rename(mustCreate(t), path)
	},
}

func TestLossOfTheFileIsNoticedWithinASecond(t *testing.T) {
	for how, lose := range losses {
		t.Run(how, func(t *testing.T) {
			path := mustCreate(t)
			f := mustOpen(t, path)
			if err := lose(t, path); err != nil {
				t.Fatal(err)
			}
			select {
			case <-f.Broken():
			case <-time.After(20 * time.Second): // one second suffices on an idle machine
				t.Fatal("not noticed")
			}
			if err := f.Err(); !errors.Is(err, state.ErrUnlinked) || !errors.Is(err, secret.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnlinked", err)
			}
		})
	}
}

func TestNoChangeToALostFileIsAcknowledged(t *testing.T) {
	for how, lose := range losses {
		t.Run(how, func(t *testing.T) {
			path := mustCreate(t)
			f := mustOpen(t, path)
			if err := f.Update(t.Context(), put("before", "v")); err != nil {
				t.Fatal(err)
			}
			if err := lose(t, path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := f.Update(t.Context(), put("after", "v")); !errors.Is(err, state.ErrUnlinked) {
					t.Errorf("got %v, want ErrUnlinked", err)
				}
			}
		})
	}
}
