package audit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
)

var errUndone = errors.New("undone")

// BenchmarkAppend measures an append without the commit of its transaction.
func BenchmarkAppend(b *testing.B) {
	f := mustFile(b)
	l := mustLog(b, f)
	mustRecord(b, l, "a", "b", "c")
	const each = 64
	var spent time.Duration
	b.ReportAllocs()
	for b.Loop() {
		_ = f.Update(b.Context(), func(tx *state.Tx) error {
			began := time.Now()
			for range each {
				if err := l.Append(tx, event("GITHUB_TOKEN")); err != nil {
					b.Error(err)
				}
			}
			spent += time.Since(began)
			return errUndone
		})
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*each), "ns/append")
}

func BenchmarkNote(b *testing.B) {
	l := mustLog(b, mustFile(b))
	e := event("")
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Note(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFailed(b *testing.B) {
	l := mustLog(b, mustFile(b))
	var peers []string
	for i := range 100 {
		peers = append(peers, fmt.Sprintf("192.0.2.%d", i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Failed(peers[i%len(peers)])
		i++
	}
}

func BenchmarkVerify(b *testing.B) {
	f := mustFile(b)
	l := mustLog(b, f)
	const entries = 10_000
	mustFill(b, f, l, entries)
	for b.Loop() {
		if _, err := l.Verify(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
}
