package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// The journal must be on the disk of the state file, and a copy must be renamed within
// that disk.
func TestFilesBesideAStateFileThatIsALinkAreWhereItLeads(t *testing.T) {
	path := mustCreate(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, link)
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, filepath.Dir(link), "link.db")
	wantOnly(t, filepath.Dir(path), filepath.Base(path), filepath.Base(path)+".holder", filepath.Base(path)+".journal0", filepath.Base(path)+".journal1")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v after Compact", info, err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := f.Update(t.Context(), put("k", "v")); !errors.Is(err, state.ErrUnlinked) {
		t.Errorf("without the link: %v, want ErrUnlinked", err)
	}
}

// Root's terminal shows only text in the form that this program writes.
func TestHolderIsShownOnlyIfThisProgramWroteIt(t *testing.T) {
	for text, want := range map[string]string{
		"process 1 on host a since 2026-11-21T12:00:00Z\n": "process 1 on host a since 2026-11-21T12:00:00Z",
		"\x1b]0;title\x07process 1 on host a since 2026\n": "another process",
		"process 1 on host \x1b[2J since 2026\n":           "another process",
		strings.Repeat("process ", 1000):                   "another process",
	} {
		path := mustCreate(t)
		mustOpen(t, path)
		if err := os.WriteFile(path+".holder", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := state.Open(path, anyKey)
		var held *state.HeldError
		if !errors.As(err, &held) || held.By != want {
			t.Errorf("%q is shown as %v, want %s", text, err, want)
		}
	}
}
