package audit_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestFailuresAreOneEntryPerPeerAndMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustLog(t, mustFile(t))
		began := time.Now()
		for i := range 1000 {
			l.Failed(fmt.Sprintf("192.0.2.%d", i%2))
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if got := len(entries(t, l)); got != 0 {
			t.Fatalf("%d entries before a minute is over, want none", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got := entries(t, l)
		if len(got) != 2 {
			t.Fatalf("%d entries, want 2", len(got))
		}
		for i, e := range got {
			want := secret.Event{
				Time: began.Add(time.Duration(i) * time.Millisecond).UTC(), From: fmt.Sprintf("192.0.2.%d", i),
				Action: audit.Authenticate, Outcome: secret.Denied,
			}
			if e.Event != want || e.Count != 500 {
				t.Errorf("got %+v, %d times, want %+v, 500 times", e.Event, e.Count, want)
			}
		}
	})
}

func TestFailuresFromManyPeersAreBounded(t *testing.T) {
	l := open(mustFile(t))
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 1000 {
				l.Failed(fmt.Sprintf("2001:db8::%x:%x", i, j))
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	total, others := 0, 0
	for _, e := range entries(t, l) {
		total += e.Count
		if e.Event.From == "other" {
			others = e.Count
		}
	}
	if got := len(entries(t, l)); got != 17 || total != 10_000 || others != 10_000-16 {
		t.Errorf("%d entries count %d failures, %d of them of others, want 17, 10000 and 9984", got, total, others)
	}
}

func TestFailuresThatCannotBeWrittenAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := mustFile(t)
		l := mustLog(t, f)
		mustRecord(t, l, "a")
		tamper(t, f, flip(headKey, 0))
		l.Failed("192.0.2.1")
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		l.Failed("192.0.2.1")
		tamper(t, f, flip(headKey, 0))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := entries(t, l); len(got) != 2 || got[1].Count != 2 {
			t.Errorf("got %+v, want both failures in a second entry", got)
		}
	})
}
