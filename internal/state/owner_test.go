package state_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
)

// A server that runs as another user must be able to open the files that root's
// commands leave.
func TestFilesThatRootCreatesBelongToTheOwnerOfTheStateFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: it takes root to make files for others")
	}
	const somebody = 65534
	path := mustCreate(t)
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o711); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if err := os.Chown(p, somebody, somebody); err != nil {
			t.Fatal(err)
		}
	}
	f := mustOpen(t, path)
	var backup bytes.Buffer
	if _, err := f.WriteTo(&backup); err != nil {
		t.Fatal(err)
	}
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(filepath.Dir(path), "restored.db")
	if err := state.Restore(restored, &backup, anyKey); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".journal0", path + ".journal1", path + ".holder", restored} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != somebody || owner.Gid != somebody || info.Mode() != 0o600 {
			t.Errorf("%s is %d:%d's, mode %o", filepath.Base(p), owner.Uid, owner.Gid, info.Mode())
		}
	}
}
