package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state"
)

// A link is a connection that is opened when it is needed, and again after it was lost.
type link struct {
	dial func(context.Context) (*pgx.Conn, error)

	mu    sync.Mutex // held while the connection is used
	conn  *pgx.Conn  // nil for none
	fails int        // attempts to connect that have failed in a row
	next  time.Time  // of the next attempt
	err   error      // of the last attempt
}

const (
	shortestPause = 20 * time.Millisecond
	longestPause  = 2 * time.Second
)

// openLocked returns the connection. After a failure it returns the same error again
// until the next attempt is due, so that many callers do not make a storm of connections.
func (l *link) openLocked(ctx context.Context) (*pgx.Conn, error) {
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	l.conn = nil
	if time.Now().Before(l.next) {
		return nil, l.err
	}
	conn, err := l.dial(ctx)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // by the caller
			l.postponeLocked(err)
		}
		return nil, away(err)
	}
	l.conn, l.fails = conn, 0
	return conn, nil
}

func (l *link) postponeLocked(err error) {
	pause := min(shortestPause<<min(l.fails, 10), longestPause)
	l.fails++
	l.err, l.next = away(err), time.Now().Add(pause/2+rand.N(pause/2)) // #nosec G404 -- spreads attempts
}

// dropLocked closes the connection, which may be in any state.
func (l *link) dropLocked() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.conn = nil
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropLocked()
	l.next, l.err = time.Now().Add(1<<62), state.ErrAway
}

// use runs fn with the connection, and once more if the connection is lost meanwhile,
// since it may have been dead for long. fn must be safe to run twice. Errors:
// state.ErrAway, and those of fn that are not the connection's.
func (l *link) use(ctx context.Context, fn func(*pgx.Conn) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.useLocked(ctx, fn)
}

func (l *link) useLocked(ctx context.Context, fn func(*pgx.Conn) error) (err error) {
	for range 2 {
		var conn *pgx.Conn
		if conn, err = l.openLocked(ctx); err != nil {
			return err
		}
		err = fn(conn)
		if err == nil {
			return nil
		}
		if lost := conn.IsClosed(); !lost || ctx.Err() != nil {
			break
		}
	}
	if l.conn != nil && l.conn.PgConn().TxStatus() != idle {
		l.dropLocked()
	}
	return err
}

// idle is the status of a connection outside of transactions.
const idle = 'I'
