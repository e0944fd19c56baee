package postgres

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Named prepared statements save the database the parsing and planning, which is most of
// the time of a short one. PgBouncer before 1.21 gives another server connection to each
// transaction, and the statement is then missing there, or exists already. The first such
// error, after which nothing has happened, makes this process do without.

const (
	statementMissing = "26000"
	statementExists  = "42P05"
)

// A naming is whether statements are named.
type naming struct{ off atomic.Bool }

// scan runs a query of one row outside of a transaction.
func (n *naming) scan(ctx context.Context, conn *pgx.Conn, sql string, arguments []any, read func(pgx.Row) error) error {
	if !n.off.Load() {
		err := read(conn.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeCacheStatement}, arguments...)...))
		if !isOfAnotherConnection(err) {
			return err
		}
		n.off.Store(true)
	}
	return read(conn.QueryRow(ctx, sql, arguments...))
}

func isOfAnotherConnection(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == statementMissing || pg.Code == statementExists)
}
