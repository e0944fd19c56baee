package postgres

import (
	"bytes"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state/change"
)

const (
	putSQL = `insert into strongroom.rows (bucket, key, value) select * from unnest($1::text[], $2::bytea[], $3::bytea[])
		on conflict (bucket, key) do update set value = excluded.value`
	deleteSQL = `delete from strongroom.rows r using unnest($1::text[], $2::bytea[]) as d (bucket, key)
		where r.bucket = d.bucket and r.key = d.key`

	// Limits of one statement.
	writtenRows  = 1_000
	writtenBytes = 4 << 20
)

// A writer writes rows to the table, many at a time. Each row may come once before a
// flush.
type writer struct {
	ctx context.Context // of the transaction
	tx  pgx.Tx
	err error // of the database, after which nothing is written

	puts, deletions rowsByColumn
	bytes           int
}

type rowsByColumn struct {
	buckets      []string
	keys, values [][]byte
}

func (w *writer) add(r change.Row) error {
	to := &w.puts
	if r.Value == nil {
		to = &w.deletions
	}
	to.buckets, to.keys = append(to.buckets, r.Bucket), append(to.keys, bytes.Clone(r.Key))
	to.values = append(to.values, bytes.Clone(r.Value))
	w.bytes += len(r.Key) + len(r.Value)
	if len(w.puts.keys)+len(w.deletions.keys) >= writtenRows || w.bytes >= writtenBytes {
		return w.flush()
	}
	return w.err
}

// flush writes the rows that have come. Without deletions it has no statement for them,
// which would take as long as one for many.
func (w *writer) flush() error {
	if p := w.puts; w.err == nil && len(p.keys) > 0 {
		_, w.err = w.tx.Exec(w.ctx, putSQL, p.buckets, p.keys, p.values)
	}
	if d := w.deletions; w.err == nil && len(d.keys) > 0 {
		_, w.err = w.tx.Exec(w.ctx, deleteSQL, d.buckets, d.keys)
	}
	w.puts, w.deletions, w.bytes = rowsByColumn{}, rowsByColumn{}, 0
	return w.err
}
