package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state"
)

// headTimeout limits a query of the head, which the database answers at once if at all.
const headTimeout = 3 * time.Second

// Head shares a query among its callers. A caller gets only the result of a query that
// begins after its call.
func (d *DB) Head(ctx context.Context) (state.Position, error) { return d.heads.next(ctx) }

func (d *DB) askHead(ctx context.Context) (at state.Position, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), headTimeout)
	defer cancel()
	defer d.counts.queried(time.Now(), &at, &err)
	err = d.reads.use(ctx, func(conn *pgx.Conn) (err error) {
		if at, err = d.scanHead(conn.QueryRow(ctx, headSQL)); err != nil {
			return away(err)
		}
		return nil
	})
	return at, err
}

// heads coalesces queries of the head.
type heads struct {
	ask  func(context.Context) (state.Position, error)
	turn chan struct{} // holds one element while a query runs

	mu      sync.Mutex
	waiting *headQuery // not begun yet; nil for none
}

// A headQuery is a query that several callers wait for.
type headQuery struct {
	done chan struct{}
	at   state.Position
	err  error
}

// next returns the result of the next query. A caller runs the query itself if none is
// running, so that a lone caller wakes no other goroutine.
func (h *heads) next(ctx context.Context) (state.Position, error) {
	h.mu.Lock()
	if h.waiting == nil {
		h.waiting = &headQuery{done: make(chan struct{})}
	}
	q := h.waiting
	h.mu.Unlock()
	for {
		select {
		case <-q.done:
			return q.at, q.err
		case <-ctx.Done():
			return state.Position{}, ctx.Err()
		case h.turn <- struct{}{}:
			h.run(ctx, q)
			<-h.turn
		}
	}
}

// run runs a query unless another caller has done so. The caller has the turn.
func (h *heads) run(ctx context.Context, q *headQuery) {
	h.mu.Lock()
	begins := h.waiting == q
	if begins {
		h.waiting = nil
	}
	h.mu.Unlock()
	if begins {
		q.at, q.err = h.ask(ctx)
		close(q.done)
	}
}
