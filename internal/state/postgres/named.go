package postgres

import (
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Named prepared statements save the database the parsing and planning, which is most of
// the time of a short one. PgBouncer before 1.21 gives another server connection to each
// transaction, and a statement is then missing there, or exists already. The first such
// error makes this process do without.

const (
	statementMissing = "26000"
	statementExists  = "42P05"
)

// unnamed is an argument for a query that must not be named. It takes one round trip.
const unnamed = pgx.QueryExecModeExec

// A naming is whether new connections have named statements.
type naming struct{ off atomic.Bool }

// config returns the settings of a connection whose statements are named, in batches too. The
// error of a missing or existing name closes the connection. The caller, link.use or Append,
// then repeats the statements on a new one, which has no names.
func (n *naming) config(of *pgx.ConnConfig) *pgx.ConnConfig {
	config := of.Copy()
	if n.off.Load() {
		return config
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if isOfName(err) {
			n.off.Store(true)
			return false
		}
		return of.OnPgError(conn, err)
	}
	return config
}

// isOfName reports whether the name of a statement was missing or existed already. The
// statement did not run, and its transaction is undone.
func isOfName(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == statementMissing || pg.Code == statementExists)
}
