package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/change"
)

//go:embed schema.sql
var tables string

// Import creates the tables and fills them with all rows of a state, in one transaction.
// dump calls put for each row, which is valid only until put returns, and describes them.
// Errors: ErrExists, those of dump, those of [Open], and state.ErrUnknown if the commit was
// not answered.
func Import(ctx context.Context, o Options, dump func(put func(change.Row) error) (state.Snapshot, error)) error {
	config, err := parse(o.URL)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	filled := false
	err = inTransaction(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := create(ctx, tx); err != nil {
			return err
		}
		w := writer{ctx: ctx, tx: tx}
		s, err := dump(w.add)
		if err := w.flush(); err != nil {
			return err
		}
		if err != nil {
			return answer{err}
		}
		err = begin(ctx, tx, s)
		filled = err == nil
		return err
	})
	if err != nil && filled {
		return fmt.Errorf("%w: %w", state.ErrUnknown, err)
	}
	return err
}

// create creates empty tables. A schema without tables may exist, for a user who must not
// create schemas.
func create(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(7638, 2)"); err != nil {
		return err
	}
	var schema, table bool
	err := tx.QueryRow(ctx, "select to_regnamespace('strongroom') is not null, to_regclass('strongroom.state') is not null").Scan(&schema, &table)
	if err == nil && table {
		err = answer{ErrExists}
	}
	if err == nil && !schema {
		_, err = tx.Exec(ctx, "create schema strongroom")
	}
	if err == nil {
		_, err = tx.Exec(ctx, tables) // several statements, which must have no arguments
	}
	return err
}

// begin makes imported rows the state.
func begin(ctx context.Context, tx pgx.Tx, s state.Snapshot) error {
	_, err := tx.Exec(ctx, "insert into strongroom.state (version, id, lineage) values ($1, $2, $3)", schemaVersion, s.ID, s.Lineage[:])
	if err == nil {
		_, err = tx.Exec(ctx, "insert into strongroom.changes (seq, batch, chain, body) values ($1, gen_random_uuid(), $2, '')", number(s.At.Seq), s.At.Chain[:])
	}
	if err == nil {
		_, err = tx.Exec(ctx, "insert into strongroom.folded (seq, chain, mac) values ($1, $2, $3)", number(s.At.Seq), s.At.Chain[:], s.MAC)
	}
	if err == nil {
		_, err = tx.Exec(ctx, "analyze strongroom.rows")
	}
	return err
}

// Fill reads all rows of the state, in the order of buckets and keys. The changes after
// the snapshot's position are in the log. Errors: those of put, state.ErrAway.
func (d *DB) Fill(ctx context.Context, put func(change.Row) error) (s state.Snapshot, err error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return s, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = inTransaction(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if s, err = d.folded(ctx, tx, ""); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "select bucket, key, value from strongroom.rows order by bucket, key")
		if err != nil {
			return err
		}
		return eachRow(rows, put)
	})
	return s, err
}

// Folded returns the position of the rows in the database, and the MAC over them.
func (d *DB) Folded(ctx context.Context) (s state.Snapshot, err error) {
	err = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		s, err = d.folded(ctx, conn, "")
		return err
	})
	return s, err
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (d *DB) folded(ctx context.Context, q querier, lock string) (s state.Snapshot, err error) {
	s.ID, s.Lineage = d.is.id, d.is.lineage
	var seq int64
	var chain []byte
	err = q.QueryRow(ctx, "select seq, chain, mac from strongroom.folded "+lock).Scan(&seq, &chain, &s.MAC)
	s.At.Seq = uint64(seq) // #nosec G115 -- counts from 0
	copy(s.At.Chain[:], chain)
	return s, err
}

func eachRow(rows pgx.Rows, put func(change.Row) error) error {
	defer rows.Close()
	bucket := ""
	for rows.Next() {
		var name, key, value pgtype.DriverBytes // valid until the next row
		if err := rows.Scan(&name, &key, &value); err != nil {
			return err
		}
		if bucket != string(name) {
			bucket = string(name)
		}
		if err := put(change.Row{Bucket: bucket, Key: key, Value: value}); err != nil {
			return answer{err}
		}
	}
	return rows.Err()
}

// inTransaction runs fn in a transaction that is not ended by a limit of time that the
// administrator has set for the user, because it may be long. Errors: those of fn,
// state.ErrAway.
func inTransaction(ctx context.Context, conn *pgx.Conn, options pgx.TxOptions, fn func(pgx.Tx) error) error {
	const limits = `select set_config('lock_timeout', '30s', true), set_config('statement_timeout', '0', true),
		set_config('idle_in_transaction_session_timeout', '0', true)`
	return databases(pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, limits); err != nil {
			return err
		}
		return fn(tx)
	}))
}
