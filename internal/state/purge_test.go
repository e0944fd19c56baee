package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

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
	if err := f.Compact(t.Context()); err != nil || updates != 3 {
		t.Fatalf("%d updates, %v, want 3", updates, err)
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
