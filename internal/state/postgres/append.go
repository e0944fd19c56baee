package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/strongroom/strongroom/internal/state"
)

// settleFor limits the time for which an append with an unknown outcome is repeated.
const settleFor = 10 * time.Second

// Append repeats an append with an unknown outcome. That is safe: an append happens only at
// one position, and by the batch's id the database distinguishes an earlier attempt from an
// append of another node.
func (d *DB) Append(ctx context.Context, r state.SharedRecord) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleFor)
	defer cancel()
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	return d.appendLocked(ctx, r)
}

func (d *DB) appendLocked(ctx context.Context, r state.SharedRecord) error {
	unknown := error(nil) // why the outcome of an attempt is unknown
	for pause := time.Duration(0); wait(ctx, pause); pause = min(2*pause+shortestPause, time.Second) {
		conn, err := d.log.openLocked(ctx)
		if err != nil && unknown == nil || errors.Is(err, state.ErrDiverged) {
			return err
		}
		if err != nil {
			continue
		}
		err = d.attemptLocked(ctx, conn, r)
		definite := refused(err)
		switch {
		case err == nil || errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrDiverged):
			return err
		case pgconn.SafeToRetry(err) || isOfName(err): // nothing was sent, or it did not run; a Lock is over
		case definite == nil:
			if unknown == nil {
				d.counts.repeated.Add(1)
			}
			unknown = err
		case unknown == nil:
			d.log.dropLocked()
			return definite
		}
		d.log.dropLocked()
	}
	if unknown == nil {
		return away(ctx.Err())
	}
	return fmt.Errorf("%w: %s", state.ErrUnknown, reason(unknown))
}

func wait(ctx context.Context, pause time.Duration) (more bool) {
	if pause == 0 { // a timer would let another goroutine run first
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return ctx.Err() == nil
	}
}

const appendSQL = "select strongroom.append($1, $2, $3, $4, $5)"

func (d *DB) attemptLocked(ctx context.Context, conn *pgx.Conn, r state.SharedRecord) (err error) {
	said, arguments := "", []any{number(r.Seq - 1), r.Before[:], [16]byte(r.ID), r.Chain[:], r.Content}
	d.warned = nil
	if d.locking == conn {
		d.locking = nil
		said, err = appendAndCommit(ctx, conn, arguments)
	} else {
		err = conn.QueryRow(ctx, appendSQL, arguments...).Scan(&said)
	}
	switch {
	case err != nil:
		return err
	case d.warned != nil:
		return d.warned
	}
	return outcome(said)
}

// appendAndCommit appends in the transaction of a Lock.
func appendAndCommit(ctx context.Context, conn *pgx.Conn, arguments []any) (said string, err error) {
	batch := &pgx.Batch{}
	batch.Queue(appendSQL, arguments...)
	batch.Queue("commit")
	results := conn.SendBatch(ctx, batch)
	err = results.QueryRow().Scan(&said)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return said, err
}

// noticed is called for notices on the connection of log. A warning at a commit says that
// an administrator has canceled the wait for the standby, and that the change may be lost
// with this server. The append is then repeated, which waits again.
func (d *DB) noticed(_ *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		d.warned = (*pgconn.PgError)(n)
	}
}

// outcome translates the results of the function append.
func outcome(said string) error {
	switch said {
	case "appended":
		return nil
	case "conflict":
		return state.ErrConflict
	case "diverged":
		return state.ErrDiverged
	}
	return fmt.Errorf("the function strongroom.append has returned %q", said)
}

// number converts a record's number for the database, whose bigint has a sign.
func number(seq uint64) int64 { return int64(seq) } // #nosec G115 -- counts from 1
