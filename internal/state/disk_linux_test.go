package state_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

// disks mount small file systems of several kinds. Few machines permit a mount.
var disks = map[string]func(t *testing.T, dir string){
	"tmpfs": func(t *testing.T, dir string) { mustMount(t, dir, "-t", "tmpfs", "-o", "size=24m", "tmpfs") },
	"ext4": func(t *testing.T, dir string) {
		image := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, 32<<20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
			skipLoudly(t, "no file system can be made: %v %s", err, out)
		}
		mustMount(t, dir, "-o", "loop", image)
	},
}

func mustMount(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "mount", append(args, dir)...).CombinedOutput(); err != nil {
		skipLoudly(t, "nothing can be mounted: %v %s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func onEachDisk(t *testing.T, test func(t *testing.T, dir string)) {
	for name, mount := range disks {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir)
			test(t, dir)
		})
	}
}

func mustOpenIn(t *testing.T, dir string) *state.File {
	t.Helper()
	path := filepath.Join(dir, "state.db")
	if err := statetest.Create(path, wrapped("ring")); err != nil {
		t.Fatal(err)
	}
	f, err := state.OpenWith(path, anyKey, state.Options{JournalBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// mustFillUp fills the disk.
func mustFillUp(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	file, err := os.OpenFile(ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, size := range []int{1 << 20, 4096, 512} {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return ballast
}

func TestFullDiskEndsWritesThenRevealsAndHeals(t *testing.T) {
	onEachDisk(t, func(t *testing.T, dir string) {
		f := mustOpenIn(t, dir)
		d := &filling{File: f, t: t}
		began, fills := time.Now(), sized(1, 30)
		for range fills {
			ballast := mustFillUp(t, dir)
			if err := os.Truncate(ballast, mustSize(t, ballast)-1<<20); err != nil {
				t.Fatal(err)
			}
			d.writeUntilFull(f.Update, "ordinary")
			d.wantReadable()
			d.writeUntilFull(f.UpdateReserved, "reserved")
			if err := f.Update(t.Context(), put("small", "v")); !errors.Is(err, state.ErrFull) {
				t.Errorf("a small change while only the reserve is left: %v, want ErrFull", err)
			}
			d.wantReadable()
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			d.wantHealing()
			if err := f.Compact(t.Context()); err != nil {
				t.Errorf("compacting with room for it: %v", err)
			}
		}
		t.Logf("%d times full and healed in %v: %d ordinary changes and %d reserved ones acknowledged, 0 lost; least reserved in one fill: %d",
			fills, time.Since(began).Round(time.Second), d.did["ordinary"], d.did["reserved"], d.least)
	})
}

// A filling is a file on a disk that runs full.
type filling struct {
	*state.File
	t     *testing.T
	keys  []string
	did   map[string]int
	least int
}

func (d *filling) writeUntilFull(update updater, kind string) {
	d.t.Helper()
	if d.did == nil {
		d.did = map[string]int{}
	}
	n := 0
	for ; n < 100_000; n++ {
		key := fmt.Sprint(kind, len(d.keys))
		err := update(d.t.Context(), put(key, strings.Repeat("v", 2000)))
		if errors.Is(err, state.ErrFull) && errors.Is(err, secret.ErrFull) {
			break
		}
		if err != nil {
			d.t.Fatalf("%s change %d: %v", kind, n, err)
		}
		d.keys = append(d.keys, key)
	}
	d.did[kind] += n
	if kind == "reserved" && (n < d.least || d.least == 0) {
		d.least = n
	}
	if kind == "reserved" && n < 400 {
		d.t.Errorf("the reserve has sufficed for %d changes of 2000 bytes", n)
	}
}

func (d *filling) wantReadable() {
	d.t.Helper()
	for _, key := range d.keys {
		if get(d.t, d.File, key) == "" {
			d.t.Fatalf("%s was acknowledged and is lost", key)
		}
	}
}

func (d *filling) wantHealing() {
	d.t.Helper()
	for began := time.Now(); ; {
		err := d.Update(d.t.Context(), d.forget())
		if err == nil {
			d.keys = nil
			return
		}
		if !errors.Is(err, state.ErrFull) || time.Since(began) > time.Minute {
			d.t.Fatalf("with room on the disk again: %v", err)
		}
	}
}

// forget deletes everything, so that the disk can be filled again.
func (d *filling) forget() func(*state.Tx) error {
	return func(tx *state.Tx) error {
		b := tx.Bucket("test")
		for _, key := range d.keys {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestCompactOnAFullDiskChangesNothing(t *testing.T) {
	onEachDisk(t, func(t *testing.T, dir string) {
		f := mustOpenIn(t, dir)
		mustUpdate(t, f, put("large", strings.Repeat("v", 1<<20)))
		ballast := mustFillUp(t, dir)
		if err := f.Compact(t.Context()); !errors.Is(err, state.ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		if f.Err() != nil || len(get(t, f, "large")) != 1<<20 {
			t.Errorf("the file is not as it was: %v", f.Err())
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if err := f.Compact(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReadOnlyPlaceIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 {
		disks["tmpfs"](t, dir)
	}
	path := filepath.Join(dir, "state.db")
	if err := statetest.Create(path, wrapped("ring")); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	} else if err := errors.Join(os.Chmod(path, 0o400), os.Chmod(dir, 0o500)); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(path, anyKey)
	if !errors.Is(err, unix.EROFS) && !errors.Is(err, os.ErrPermission) {
		t.Errorf("opening: %v, want a word on the right to write", err)
	}
	if err := statetest.Create(path+"2", wrapped("ring")); !errors.Is(err, unix.EROFS) && !errors.Is(err, os.ErrPermission) {
		t.Errorf("creating: %v, want a word on the right to write", err)
	}
}
