package safefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/strongroom/strongroom/internal/safefile"
)

func mustWrite(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// wantFile checks the content and mode of a file, and that no draft is left beside it.
func wantFile(t *testing.T, path, content string, mode os.FileMode) os.FileInfo {
	t.Helper()
	got, err := os.ReadFile(path)
	info, statErr := os.Lstat(path)
	if err := errors.Join(err, statErr); err != nil {
		t.Fatal(err)
	}
	if string(got) != content || info.Mode() != mode {
		t.Errorf("got %q, mode %v, want %q, mode %v", got, info.Mode(), content, mode)
	}
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a draft is left: %v", err)
	}
	return info
}

func add(text string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(old, text...), nil }
}

func TestEditKeepsModeAndOwner(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o640, 0o400} {
		path := filepath.Join(t.TempDir(), "keys")
		mustWrite(t, path, "a", mode)
		asRoot := os.Geteuid() == 0
		if asRoot {
			if err := os.Chown(path, 0, 65534); err != nil {
				t.Fatal(err)
			}
		}
		if err := safefile.Edit(path, add("b")); err != nil {
			t.Fatal(err)
		}
		info := wantFile(t, path, "ab", mode)
		if gid := info.Sys().(*syscall.Stat_t).Gid; asRoot && gid != 65534 {
			t.Errorf("the group is %d, want 65534", gid)
		}
	}
}

// Readers that have the file open still see the old content, as after a crash before the
// rename.
func TestEditReplacesTheFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	mustWrite(t, path, "a", 0o600)
	mustWrite(t, path+".new", "left by a crash", 0o600)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := safefile.Edit(path, add("b")); err != nil {
		t.Fatal(err)
	}
	if after := wantFile(t, path, "ab", 0o600); os.SameFile(before, after) {
		t.Error("the file was written in place")
	}
}

func TestEditChangesNothingOnAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	mustWrite(t, path, "a", 0o600)
	refusal := errors.New("no")
	if err := safefile.Edit(path, func([]byte) ([]byte, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	wantFile(t, path, "a", 0o600)
}

func TestEditOfALinkEditsItsTarget(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "target"), "a", 0o600)
	if err := errors.Join(os.Symlink("target", filepath.Join(dir, "link")), safefile.Edit(filepath.Join(dir, "link"), add("b"))); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(dir, "target"), "ab", 0o600)
	if target, err := os.Readlink(filepath.Join(dir, "link")); target != "target" {
		t.Errorf("the link names %q, %v", target, err)
	}
}

func TestOnlyOneEditAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	mustWrite(t, path, "a", 0o600)
	err := safefile.Edit(path, func(old []byte) ([]byte, error) {
		if err := safefile.Edit(path, add("c")); err == nil {
			t.Error("a second edit began during the first")
		}
		return append(old, 'b'), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "ab", 0o600)
}
