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
