package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Trim is trim with other limits.
func (d *DB) Trim(ctx context.Context, age time.Duration, keep uint64) error {
	return d.side.use(ctx, func(conn *pgx.Conn) error { return trim(ctx, conn, age, keep) })
}

// PlansPerUse returns how many plans the database has made for single uses of the named
// statements of log.
func (d *DB) PlansPerUse(ctx context.Context) (n int, err error) {
	err = d.log.use(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "select sum(custom_plans)::int from pg_prepared_statements").Scan(&n)
	})
	return n, err
}
