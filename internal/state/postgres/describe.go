package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Description is what an administrator should know of the database.
type Description struct {
	Host     string
	Version  string // of the server
	Standbys string // synchronous_standby_names: empty if none has to confirm a change
	Took     time.Duration
	Ahead    time.Duration // of the database's clock, compared with that of this machine
}

// Describe asks the database. Error: state.ErrAway.
func (d *DB) Describe(ctx context.Context) (about Description, err error) {
	err = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var now time.Time
		began := time.Now()
		err := conn.QueryRow(ctx, "select current_setting('server_version'), current_setting('synchronous_standby_names'), clock_timestamp()").
			Scan(&about.Version, &about.Standbys, &now)
		about.Took = time.Since(began)
		about.Ahead = now.Sub(began.Add(about.Took / 2))
		about.Host = conn.PgConn().Conn().RemoteAddr().String()
		return err
	})
	return about, err
}
