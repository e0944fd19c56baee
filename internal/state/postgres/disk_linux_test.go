package postgres_test

import (
	"os"
	"os/user"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

func TestFullDiskRefusesOnlyChanges(t *testing.T) {
	disk := smallDisk(t)
	url := newState(t)
	execute(t, url, "create tablespace "+nameOf(t, url)+" location '"+disk+"'")
	t.Cleanup(func() { pgtest.Start(t).Exec(t, "drop tablespace "+nameOf(t, url)) })
	execute(t, url, "alter table strongroom.changes set tablespace "+nameOf(t, url))
	t.Cleanup(func() { execute(t, url, "alter table strongroom.changes set tablespace pg_default") })
	db := open(t, url)
	at, big := first.At, change.Row{Bucket: "a", Key: []byte("k"), Value: make([]byte, 300_000)}
	var err error
	for range 100 {
		r := after(at, big)
		if err = db.Append(t.Context(), r); err != nil {
			break
		}
		at = positionOf(r)
	}
	wantError(t, "an append on a full disk", err, state.ErrFull)
	if err := db.Lock(t.Context(), at.Seq, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, "an append with the lock held", db.Append(t.Context(), after(at, big)), state.ErrFull)
	if head, err := db.Head(t.Context()); err != nil || head != at {
		t.Errorf("head %v, %v, want %v", head, err, at)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, db, at, 1)
}

// smallDisk mounts a file system of 8 MiB for the server.
func smallDisk(t *testing.T) string {
	t.Helper()
	pgtest.Start(t)
	server, err := user.Lookup("postgres")
	if err != nil || os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root, and the user postgres")
	}
	dir, err := os.MkdirTemp("", "small-disk-") // the server's user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m,mode=700,uid="+server.Uid); err != nil {
		t.Skipf("NOT TESTED: mounting is not permitted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	id, _ := strconv.Atoi(server.Uid)
	if err := os.Chown(dir, id, -1); err != nil {
		t.Fatal(err)
	}
	return dir
}
