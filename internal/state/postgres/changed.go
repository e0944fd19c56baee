package postgres

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Changes of other nodes are announced by notifications and found by polling. Through
// PgBouncer in transaction mode LISTEN succeeds but notifications do not come, or come on
// another connection. Then polling is more frequent.
const (
	slowPoll  = time.Second
	quickPoll = 100 * time.Millisecond
)

func (d *DB) Changed() <-chan uint64 { return d.changed }

func (d *DB) signal(seq uint64) {
	for {
		select {
		case d.changed <- seq:
			return
		case earlier := <-d.changed:
			seq = max(seq, earlier)
		}
	}
}

// had notes the number of a record that this node has had.
func (d *DB) had(seq uint64) {
	raise(&d.known, seq)
}

// notified is called for notifications on all connections.
func (d *DB) notified(_ *pgconn.PgConn, n *pgconn.Notification) {
	seq, err := strconv.ParseUint(n.Payload, 10, 64)
	if err != nil || n.Channel != channel {
		return
	}
	raise(&d.heard, seq)
	if seq > d.known.Load() {
		d.signal(seq)
	}
}

// channel is the name that the function append uses too.
const channel = "strongroom"

func (d *DB) dialListener(ctx context.Context) (*pgx.Conn, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, away(err)
	}
	return conn, nil
}

func (d *DB) listen(ctx context.Context) {
	for wait(ctx, shortestPause) {
		err := d.ears.use(ctx, func(conn *pgx.Conn) error {
			for {
				if _, err := conn.WaitForNotification(ctx); err != nil {
					return err
				}
			}
		})
		if err != nil && !wait(ctx, quickPoll) {
			return
		}
	}
}

func (d *DB) poll(ctx context.Context) {
	every := slowPoll
	for last := uint64(0); wait(ctx, every); {
		at, err := d.Head(ctx)
		if err != nil || at.Seq == last {
			continue
		}
		if at.Seq > d.known.Load() {
			d.signal(at.Seq)
		}
		every = slowPoll
		if missed := last > 0 && at.Seq > d.heard.Load(); missed {
			every = quickPoll
		}
		last = at.Seq
	}
}

// raise sets a number unless it is higher already.
func raise(to *atomic.Uint64, seq uint64) {
	for old := to.Load(); seq > old && !to.CompareAndSwap(old, seq); old = to.Load() {
	}
}
