package main_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mustInitOnASmallDisk returns an install whose state file is on its own small
// disk.
func mustInitOnASmallDisk(t *testing.T) install {
	t.Helper()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "journal_bytes: 262144", "journal_bytes: 8388608")
	file := mustRead(t, i.path("data/strongroom.db"))
	if err := unix.Mount("tmpfs", i.path("data"), "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		t.Skipf("NOT TESTED: no disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(i.path("data"), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	mustWrite(t, i.path("data/strongroom.db"), file)
	return i
}

func mustFillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for piece := make([]byte, 4096); err == nil; {
		_, err = f.Write(piece)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// The audit log has reserved space: on a full disk, values can still be read,
// requests denied and API keys revoked.
func TestFullDiskStillHasRoomForTheAuditLog(t *testing.T) {
	t.Parallel()
	i := mustInitOnASmallDisk(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"kept"}]}`)
	key := i.mustIssue(t, "apikey", "create", "--subject", "ci", "--grant", "{actions: [list], owner: "+theApp+"}")
	mustFillUp(t, i.path("data/ballast"))
	for n := 0; ; n++ {
		a := p.mustDo(t, "POST", app, i.pskHeader(), fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"%s"}]}`, n, strings.Repeat("v", 4000)))
		if a.status == 507 {
			break
		}
		if a.status != 200 || n > 10_000 {
			t.Fatalf("write %d: %d %s", n, a.status, a.body)
		}
	}
	for range 300 { // more entries than fit without the reserve
		p.want(t, 200, "GET", app+"/db/reveal", i.pskHeader(), "")
		p.want(t, 403, "GET", app+"/db/reveal", "Authorization-PSK: "+key, "")
	}
	i.mustAdminister(t, "apikey", "revoke", "--yes", idIn(key))
	p.want(t, 401, "GET", app, "Authorization-PSK: "+key, "")
	p.client.CloseIdleConnections()
	p.mustKill(t) // the count of the 401 could not be written
}
