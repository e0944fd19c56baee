package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// usedOf reads the format of the journal as that package writes it.
func TestUsedOfIsTheEndOfTheJournal(t *testing.T) {
	path, id := filepath.Join(t.TempDir(), "state.db"), journal.Identity{State: [16]byte{1}}
	if err := journal.Create(path, id, journal.MinBytes, 7); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(path, id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if err := j.Replay(6, func(change.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 24, 25, 1000} {
		if err := j.Append(change.Chain{}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(journal.Paths(path)[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := usedOf(b); int64(got) != j.Used() {
			t.Errorf("%d bytes are used, want %d", got, j.Used())
		}
	}
}

func TestAppenderKeepsEveryRecord(t *testing.T) {
	a, err := newAppender(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.file.Close() }()
	records := make([][]byte, 50)
	var all sync.WaitGroup
	for i := range records {
		records[i] = make([]byte, 64)
		_, _ = rand.Read(records[i])
		all.Go(func() {
			if err := a.append(records[i]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b, err := os.ReadFile(a.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if bytes.Count(b, r) != 1 {
			t.Errorf("record %d is not in the file once", i)
		}
	}
	if a.flushed != 50 || len(b) != journalBytes {
		t.Errorf("%d records are flushed in %d bytes", a.flushed, len(b))
	}
}

func TestFreshCreatesAreAllDifferent(t *testing.T) {
	next, seen := dialect{}.freshCreates(), map[string]bool{}
	length := len(next())
	for range 2 * apps {
		request := next()
		secret, _, found := bytes.Cut(request, []byte(`"data":`)) // which is random
		if !found || seen[string(secret)] || len(request) != length {
			t.Fatalf("a secret is created twice, or the request has another length: %q", request)
		}
		seen[string(secret)] = true
	}
}
