package audit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

// A concurrent reader always sees a valid chain.
func TestLogVerifiesWhileItIsWrittenAndPruned(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	mustFill(t, f, l, 5000)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				mustRecord(t, l, fmt.Sprint(w, i))
				_ = l.Note(event("noted"))
				l.Failed("192.0.2.1")
			}
		})
	}
	writers.Go(func() {
		for i := range 10 {
			if _, err := l.Prune(t.Context(), start.Add(time.Duration(i*450)*time.Second), secret.Event{}); err != nil {
				t.Error(err)
			}
		}
	})
	done := make(chan struct{})
	go func() { defer close(done); writers.Wait() }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if _, err := l.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := l.Tail(10); err != nil {
			t.Error(err)
		}
		if err := l.CheckAnchor(mustAnchor(t, l)); err != nil {
			t.Error(err)
		}
	}
	wantAccounted(t, l, 5000+4*50)
}

func wantAccounted(t *testing.T, l *audit.Log, want int) {
	t.Helper()
	r, err := l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := int(r.First.Seq) - 1 // pruned
	for _, e := range entries(t, l) {
		if e.Event.Action == secret.Write && e.Event.Ref.Name != "noted" {
			got++
		}
	}
	if got != want {
		t.Errorf("%d entries are there or were dropped, want %d", got, want)
	}
}
