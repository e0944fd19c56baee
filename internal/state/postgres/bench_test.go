package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state/change"
)

// An append must cost little more than the same content inserted into a table of its own
// in one transaction. Three busy nodes append after a Lock. The slices alternate, so that all
// meet the same load.
func BenchmarkAppendBesideInsert(b *testing.B) {
	url := newState(b)
	db := open(b, url)
	plain, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close(context.Background())
	if _, err := plain.Exec(b.Context(), "create table strongroom.plain (seq bigint primary key, body bytea not null)"); err != nil {
		b.Fatal(err)
	}
	at, n := first.At, int64(0)
	rows := []change.Row{{Bucket: "a", Key: []byte("k"), Value: make([]byte, 1500)}}
	var appends, inserts, heads, locks, locked []time.Duration
	for b.Loop() {
		for range 20 {
			r := after(at, rows...)
			appends = append(appends, timed(b, func() error { return db.Append(b.Context(), r) }))
			at = positionOf(r)
		}
		for range 20 {
			r := after(at, rows...)
			locks = append(locks, timed(b, func() error { return db.Lock(b.Context(), at.Seq, nil) }))
			locked = append(locked, timed(b, func() error { return db.Append(b.Context(), r) }))
			at = positionOf(r)
		}
		for range 20 {
			n++
			inserts = append(inserts, timed(b, func() error {
				_, err := plain.Exec(b.Context(), "insert into strongroom.plain values ($1, $2)", n, rows[0].Value)
				return err
			}))
		}
		for range 20 {
			heads = append(heads, timed(b, func() error { _, err := db.Head(b.Context()); return err }))
		}
	}
	b.ReportMetric(median(appends)/1e3, "append-us")
	b.ReportMetric(median(inserts)/1e3, "insert-us")
	b.ReportMetric(median(heads)/1e3, "head-us")
	b.ReportMetric(median(locks)/1e3, "lock-us")
	b.ReportMetric(median(locked)/1e3, "locked-append-us")
	b.ReportMetric(median(appends)/median(inserts), "append/insert")
}

func timed(b *testing.B, fn func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := fn(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2])
}
