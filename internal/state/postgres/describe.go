package postgres

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Description is what an administrator should know of the database.
type Description struct {
	Host      string
	Version   string // of the server
	Encrypted bool   // the connection, or it does not leave this machine
	Standbys  string // synchronous_standby_names: empty if none has to confirm a change
	Took      time.Duration
	Ahead     time.Duration // of the database's clock, compared with that of this machine
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
		remote := conn.PgConn().Conn().RemoteAddr()
		_, encrypted := conn.PgConn().Conn().(*tls.Conn)
		about.Host, about.Encrypted = remote.String(), encrypted || isLocal(remote)
		return err
	})
	return about, err
}

// isLocal reports whether the address is on this machine.
func isLocal(a net.Addr) bool {
	if a.Network() == "unix" {
		return true
	}
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}
