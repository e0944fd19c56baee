package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
)

const (
	headSQL  = "select seq, chain, (select version from strongroom.state) from strongroom.changes order by seq desc limit 1"
	beginSQL = "begin isolation level read committed"
	lockSQL  = "select pg_advisory_xact_lock(7638, 1)" // as the function append
	sinceSQL = "select seq, batch, chain, body from strongroom.changes where seq > $1 order by seq"
	someSQL  = sinceSQL + " limit 64"

	// In this transaction, the database keeps the plan of a named statement. Without sorts
	// the plan uses the index; otherwise a plan that reads a small table as a whole would be
	// kept while the table grows.
	plansSQL = "select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_sort', 'off', true)"
	// A node that stops while it holds the lock, such as one whose machine is suspended,
	// loses it after two seconds.
	limitsSQL = plansSQL + `, set_config('lock_timeout', '8s', true), set_config('statement_timeout', '10s', true),
		set_config('idle_in_transaction_session_timeout', '2s', true)`
)

// whileAnswering returns a context that ends when no record has come for as long as an append
// is repeated: a connection can stay open on which nothing comes, and the caller has the turn.
func whileAnswering(ctx context.Context, fn func(state.SharedRecord) error) (context.Context, func(state.SharedRecord) error, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	silent := time.AfterFunc(settleFor, cancel)
	return ctx, func(r state.SharedRecord) error {
		silent.Stop() // fn may wait for the disk
		defer silent.Reset(settleFor)
		return fn(r)
	}, func() { silent.Stop(); cancel() }
}

func (d *DB) Since(ctx context.Context, seq uint64, fn func(state.SharedRecord) error) error {
	ctx, fn, stop := whileAnswering(ctx, fn)
	defer stop()
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	_, err := d.sinceLocked(ctx, seq, fn)
	return err
}

func (d *DB) sinceLocked(ctx context.Context, seq uint64, fn func(state.SharedRecord) error) (last uint64, err error) {
	last = seq
	err = d.log.useLocked(ctx, func(conn *pgx.Conn) error {
		_, err := d.read(ctx, conn, []string{plansSQL}, sinceSQL, &last, fn)
		return err
	})
	return last, err
}

// Lock reads many records before it locks, so that other nodes do not wait meanwhile.
func (d *DB) Lock(ctx context.Context, seq uint64, fn func(state.SharedRecord) error) error {
	ctx, fn, stop := whileAnswering(ctx, fn)
	defer stop()
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	for {
		head, err := d.lockLocked(ctx, &seq, fn)
		if err != nil {
			return err
		}
		if head == seq {
			return nil
		}
		d.unlockLocked()
		if seq, err = d.sinceLocked(ctx, seq, fn); err != nil {
			return err
		}
	}
}

func (d *DB) lockLocked(ctx context.Context, last *uint64, fn func(state.SharedRecord) error) (head uint64, err error) {
	err = d.log.useLocked(ctx, func(conn *pgx.Conn) (err error) {
		head, err = d.read(ctx, conn, []string{beginSQL, limitsSQL, lockSQL}, someSQL, last, fn)
		if err == nil {
			d.locking = conn
		}
		return err
	})
	return head, err
}

func (d *DB) Unlock() {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	d.unlockLocked()
}

func (d *DB) unlockLocked() {
	conn := d.locking
	d.locking = nil
	if conn == nil || conn != d.log.conn || conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "rollback"); err != nil {
		d.log.dropLocked()
	}
}

// read runs some statements, and then reads the head and the records behind last, in one
// transaction and one round trip. Errors: as for readRecords.
func (d *DB) read(ctx context.Context, conn *pgx.Conn, before []string, recordsSQL string, last *uint64, fn func(state.SharedRecord) error) (head uint64, err error) {
	batch := &pgx.Batch{}
	for _, sql := range before {
		batch.Queue(sql)
	}
	batch.Queue(headSQL)
	batch.Queue(recordsSQL, number(*last))
	results := conn.SendBatch(ctx, batch)
	for range before {
		_, _ = results.Exec() // reading the head has the same error
	}
	head, err = d.readRecords(results, last, fn)
	return head, errors.Join(err, closing(results, err))
}

// readRecords reads the head, and then the records behind last, which it moves on. Errors:
// those of fn, state.ErrTrimmed, state.ErrDiverged, state.ErrAway.
func (d *DB) readRecords(results pgx.BatchResults, last *uint64, fn func(state.SharedRecord) error) (head uint64, err error) {
	var at state.Position
	if at, err = d.scanHead(results.QueryRow()); err != nil {
		return 0, away(err)
	}
	if at.Seq < *last {
		return 0, fmt.Errorf("%w: its last change is %d, and this node has had %d", state.ErrDiverged, at.Seq, *last)
	}
	rows, err := results.Query()
	if err != nil {
		return 0, away(err)
	}
	if err := eachRecord(rows, last, fn); err != nil {
		return 0, err
	}
	return at.Seq, nil
}

func eachRecord(rows pgx.Rows, last *uint64, fn func(state.SharedRecord) error) error {
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return away(err)
		}
		if r.Seq != *last+1 {
			return state.ErrTrimmed
		}
		if err := fn(r); err != nil {
			return err
		}
		*last = r.Seq
	}
	if err := rows.Err(); err != nil {
		return away(err)
	}
	return nil
}

func scanRecord(rows pgx.Rows) (r state.SharedRecord, err error) {
	var seq int64
	var chain, body pgtype.DriverBytes // valid until the next row
	if err := rows.Scan(&seq, (*[16]byte)(&r.ID), &chain, &body); err != nil {
		return r, err
	}
	r.Record = change.Record{Seq: uint64(seq), Content: body} // #nosec G115 -- counts from 1
	copy(r.Chain[:], chain)
	return r, nil
}

// scanHead returns the position of the last record. Another program may have changed the
// tables, or moved the state, since this one has connected.
func (d *DB) scanHead(row pgx.Row) (at state.Position, err error) {
	var seq int64
	var chain []byte
	var version int
	if err = row.Scan(&seq, &chain, &version); err == nil {
		err = d.options.mayUse(version)
	}
	at.Seq = uint64(seq) // #nosec G115 -- counts from 1
	copy(at.Chain[:], chain)
	return at, err
}

// closing ends a batch, and returns its error if there was none yet.
func closing(results pgx.BatchResults, before error) error {
	err := results.Close()
	if before != nil || err == nil {
		return nil
	}
	return away(err)
}
