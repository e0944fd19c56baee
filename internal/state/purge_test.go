package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

// The content must be in no free page and in no old record.
func wantInNoFile(t *testing.T, path, content string) {
	t.Helper()
	for _, p := range files(path) {
		if n := bytes.Count(mustRead(t, p), []byte(content)); n > 0 {
			t.Errorf("%s has %q %d times", p, content, n)
		}
	}
}

func wantInAFile(t *testing.T, path, content string) {
	t.Helper()
	for _, p := range files(path) {
		if bytes.Contains(mustRead(t, p), []byte(content)) {
			return
		}
	}
	t.Errorf("no file has %q before the compaction", content)
}

func TestCompactRemovesDeletedAndReplacedContentFromAllFiles(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	for n := range 40 { // in both files of the journal, and in bbolt
		mustUpdate(t, f, put("deleted", fmt.Sprint("deleted content ", n)))
		mustUpdate(t, f, put("replaced", fmt.Sprint("replaced content ", n)))
		if n%10 == 5 {
			if err := f.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustUpdate(t, f, put("kept", "kept content"))
	swapped, err := f.SwapKeyring(t.Context(), []byte("ring"), []byte("ring of the old key"))
	if !swapped || err != nil {
		t.Fatal(swapped, err)
	}
	if swapped, err = f.SwapKeyring(t.Context(), []byte("ring of the old key"), []byte("another")); !swapped || err != nil {
		t.Fatal(swapped, err)
	}
	mustUpdate(t, f, put("replaced", "new content"))
	err = f.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket("test")
		return b.Delete([]byte("deleted"))
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := []string{"deleted content", "replaced content", "ring of the old key"}
	for _, content := range gone {
		wantInAFile(t, path, content)
	}
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, content := range gone {
		wantInNoFile(t, path, content)
	}
	crashed := mustCopy(t, path, true)
	if err := errors.Join(f.Verify(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, crashed} {
		f := mustOpen(t, path)
		if get(t, f, "kept") != "kept content" || get(t, f, "replaced") != "new content" || get(t, f, "deleted") != "" {
			t.Errorf("%s has other content", path)
		}
	}
}

// A change too large for the journal turns it, as a checkpoint does.
func TestLargeChangeDuringACompactionKeepsNoDeletedContent(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	updates := 0
	f.Trace(func(context.Context) func(error) {
		if updates++; updates == 2 { // when one file of the journal is wiped, and before the other is
			mustUpdate(t, f, put("large", strings.Repeat("v", 1<<20)))
		}
		return nil
	})
	for range 2 { // in both files of the journal, behind the records that replace the first one
		mustUpdate(t, f, put("first", strings.Repeat("v", 1000)))
		mustUpdate(t, f, put("deleted", "deleted content"))
		if err := f.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	mustUpdate(t, f, put("deleted", ""))
	for _, p := range files(path)[1:] {
		if !bytes.Contains(mustRead(t, p), []byte("deleted content")) {
			t.Errorf("%s has no deleted content before the compaction", p)
		}
	}
	updates = 0
	if err := f.Compact(t.Context()); err != nil || updates != 4 { // with the note of its end
		t.Fatalf("%d updates, %v, want 4", updates, err)
	}
	wantInNoFile(t, path, "deleted content")
}

// Changes go on while records are overwritten, and a crash at any moment loses none.
func TestChangesDuringACompactionAreInTheFilesOfACrash(t *testing.T) {
	path := mustCreate(t)
	f := mustOpen(t, path)
	mustUpdate(t, f, put("first", strings.Repeat("v", 100_000)))
	var compacting sync.WaitGroup
	compacting.Go(func() {
		for range 3 {
			if err := f.Compact(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	n := 0
	for ; n < 300; n++ {
		mustUpdate(t, f, put(fmt.Sprint("k", n), strings.Repeat("v", 1000)))
	}
	compacting.Wait()
	// A checkpoint while the files are copied one after another would give files of different moments.
	if err := f.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	for ; n < 310; n++ { // too few for another checkpoint
		mustUpdate(t, f, put(fmt.Sprint("k", n), strings.Repeat("v", 1000)))
	}
	crashed := mustOpen(t, mustCopy(t, path, true))
	for i := range n {
		if get(t, crashed, fmt.Sprint("k", i)) == "" {
			t.Errorf("k%d is lost", i)
		}
	}
	if err := errors.Join(crashed.Verify(), f.Verify()); err != nil {
		t.Error(err)
	}
}

// A removal during a compaction needs another one.
func TestCompactionIsReported(t *testing.T) {
	f := mustOpen(t, mustCreate(t))
	want := func(when string, since, ended, removed bool) {
		t.Helper()
		c, err := f.Compaction()
		if err != nil || c.Since.IsZero() == since || c.Ended.IsZero() == ended || c.Removed.IsZero() == removed {
			t.Errorf("%s: %+v, %v", when, c, err)
		}
	}
	remove := func() {
		t.Helper()
		if err := f.Removed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", false, false, false)
	remove()
	want("after a removal", false, false, true)
	// A reader of the old file holds the compaction up after it has replaced the file.
	reading, read := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = f.View(func(*state.Tx) error { close(reading); <-read; return nil })
	})
	<-reading
	before := mustStat(t, f.Path())
	all.Go(func() {
		if err := f.Compact(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for os.SameFile(before, mustStat(t, f.Path())) {
		time.Sleep(time.Millisecond)
	}
	want("during a compaction", true, false, true)
	remove()
	close(read)
	all.Wait()
	want("after a compaction with a removal in between", false, true, true)
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("at last", false, true, false)
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
