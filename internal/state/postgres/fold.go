package postgres

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
)

// Changes are kept for a day, and the last ones for longer, so that a node that was away
// can continue with them.
const (
	keepFor   = 24 * time.Hour
	keepLast  = 5_000
	trimSlice = 10_000
)

// Fold brings the rows in the database to the position of a snapshot, by the changes in
// the log. The snapshot has the MAC over the rows as they are then, and a node that is
// filled from them compares it. Then Fold removes changes that no node needs. It does
// nothing if the rows have that position already. Errors: state.ErrDiverged, state.ErrAway.
func (d *DB) Fold(ctx context.Context, to state.Snapshot) error {
	conn, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = inTransaction(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		was, err := d.folded(ctx, tx, "for update")
		if err != nil || was.At.Seq >= to.At.Seq {
			return err
		}
		if err := d.mayFold(ctx, tx, to); err != nil {
			return err
		}
		for at := was.At.Seq; at < to.At.Seq; {
			if at, err = foldSome(ctx, tx, at, to.At.Seq); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "update strongroom.folded set seq = $1, chain = $2, mac = $3", number(to.At.Seq), to.At.Chain[:], to.MAC)
		return err
	})
	if err != nil {
		return err
	}
	return databases(trim(ctx, conn, keepFor, keepLast))
}

// mayFold compares the position with the log.
func (d *DB) mayFold(ctx context.Context, tx pgx.Tx, to state.Snapshot) error {
	var chain []byte
	err := tx.QueryRow(ctx, "select (select chain from strongroom.changes where seq = $1)", number(to.At.Seq)).Scan(&chain)
	if err == nil && (to.Lineage != d.is.lineage || !bytes.Equal(chain, to.At.Chain[:])) {
		return answer{fmt.Errorf("%w: it has another change %d", state.ErrDiverged, to.At.Seq)}
	}
	return err
}

// foldSome applies some of the changes behind one number, up to another, and returns the
// number of the last.
func foldSome(ctx context.Context, tx pgx.Tx, from, to uint64) (last uint64, err error) {
	const someSQL = "select seq, body from strongroom.changes where seq > $1 and seq <= $2 order by seq limit 200"
	rows, err := tx.Query(ctx, someSQL, number(from), number(to))
	if err != nil {
		return 0, err
	}
	latest, last, err := coalesce(rows, from)
	if err != nil {
		return 0, err
	}
	if last == from {
		return 0, answer{fmt.Errorf("%w: it has no change %d", state.ErrDiverged, from+1)}
	}
	w := writer{ctx: ctx, tx: tx}
	for _, r := range latest {
		if err := w.add(r); err != nil {
			return 0, err
		}
	}
	return last, w.flush()
}

// coalesce returns the last content of each row that the changes have.
func coalesce(rows pgx.Rows, last uint64) (map[string]change.Row, uint64, error) {
	defer rows.Close()
	latest := map[string]change.Row{}
	for rows.Next() {
		var seq int64
		var body []byte
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, 0, err
		}
		set, err := change.Decode(body)
		if err != nil || seq != number(last+1) {
			return nil, 0, answer{fmt.Errorf("%w: change %d is damaged or missing", state.ErrDiverged, last+1)}
		}
		for _, r := range set {
			latest[r.Bucket+"\x00"+string(r.Key)] = r
		}
		last++
	}
	return latest, last, rows.Err()
}

// trim removes folded changes from the beginning of the log, so that there is never a gap.
func trim(ctx context.Context, conn *pgx.Conn, age time.Duration, keep uint64) error {
	const trimSQL = `delete from strongroom.changes where seq < least(
		(select seq + 1 from strongroom.folded),
		(select max(seq) + 1 - greatest($1, 1) from strongroom.changes),
		(select seq from strongroom.changes where at > clock_timestamp() - make_interval(secs => $2) order by seq limit 1),
		(select min(seq) + $3 from strongroom.changes))`
	_, err := conn.Exec(ctx, trimSQL, number(keep), age.Seconds(), trimSlice)
	return err
}
