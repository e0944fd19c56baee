package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/strongroom/strongroom/internal/state"
)

// SQLSTATEs of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	serializationFailure = "40001"
	completionUnknown    = "40003"
	readOnly             = "25006"
	diskFull             = "53100"
	lockTimeout          = "55P03"
	noDatabase           = "3D000"
)

// refused returns the error of an append which the server has said did not happen, or nil
// if the error leaves that open. Every other error of a server leaves it open, as that of a
// connection does: a commit may have happened before the server was shut down.
func refused(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return nil
	}
	switch pg.Code {
	case serializationFailure:
		return state.ErrConflict
	case diskFull:
		return fmt.Errorf("%w: %s", state.ErrFull, reason(err))
	case completionUnknown:
		return nil
	case readOnly, lockTimeout:
		return away(err)
	}
	switch pg.Code[:2] {
	case "22", "23", "40", "42", "53":
		return away(err)
	}
	return nil
}
