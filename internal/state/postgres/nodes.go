package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Node is a process that uses the state.
type Node struct {
	ID, Name, Version string
	Applied           uint64        // number of the last change that it has applied
	Staleness         time.Duration // for which it may begin reads without asking for the head
	Age               time.Duration // of its last beat
	Self              bool
	Duties            []string // see [DB.Claim]
}

// forgetAfter is the age of the last beat at which a node is forgotten.
const forgetAfter = time.Hour

// Beat records that this node is alive, and the last change that it has applied.
func (d *DB) Beat(ctx context.Context, applied uint64, staleness time.Duration) error {
	return d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		batch := &pgx.Batch{}
		batch.Queue(`insert into strongroom.nodes (id, name, version, applied, staleness_ms, seen) values ($1, $2, $3, $4, $5, clock_timestamp())
			on conflict (id) do update set applied = excluded.applied, staleness_ms = excluded.staleness_ms, seen = clock_timestamp()`,
			d.node, d.options.Node, d.options.Version, number(applied), staleness.Milliseconds())
		batch.Queue("delete from strongroom.nodes where seen < clock_timestamp() - make_interval(secs => $1)", forgetAfter.Seconds())
		return conn.SendBatch(ctx, batch).Close()
	})
}

// Nodes returns the nodes that were alive within the last hour, by name.
func (d *DB) Nodes(ctx context.Context) (nodes []Node, err error) {
	const nodesSQL = `select id, name, version, applied, staleness_ms, extract(epoch from clock_timestamp() - seen)::float8,
		array(select duty from strongroom.duties where node = n.id and expires > clock_timestamp() order by duty)
		from strongroom.nodes n order by name, id`
	err = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, nodesSQL)
		if err != nil {
			return err
		}
		nodes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Node, error) {
			var n Node
			var applied, staleness int64
			var age float64
			err := row.Scan(&n.ID, &n.Name, &n.Version, &applied, &staleness, &age, &n.Duties)
			n.Applied, n.Self = uint64(applied), n.ID == d.node // #nosec G115 -- counts from 0
			n.Staleness, n.Age = time.Duration(staleness)*time.Millisecond, time.Duration(age*float64(time.Second))
			return n, err
		})
		return err
	})
	return nodes, err
}

// Claim gives a duty to this node for some time, or for longer if it has the duty. It
// reports whether this node has it. The database's clock measures the time.
func (d *DB) Claim(ctx context.Context, duty string, length time.Duration) (has bool, err error) {
	const claimSQL = `insert into strongroom.duties as d (duty, node, expires) values ($1, $2, clock_timestamp() + make_interval(secs => $3))
		on conflict (duty) do update set node = excluded.node, expires = clock_timestamp() + make_interval(secs => $3)
		where d.node = excluded.node or d.expires < clock_timestamp()`
	err = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, claimSQL, duty, d.node, length.Seconds())
		has = err == nil && tag.RowsAffected() == 1
		return err
	})
	return has, err
}

// Release gives up a duty, if this node has it.
func (d *DB) Release(ctx context.Context, duty string) error {
	return d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "delete from strongroom.duties where duty = $1 and node = $2", duty, d.node)
		return err
	})
}

// MarkMoved marks the state as one that has been moved to a file, and reports whether it was
// not marked before. No node can start then, and a running one ends before its next request.
// A change that such a node makes meanwhile is in the log before the next one of the caller,
// or not at all.
func (d *DB) MarkMoved(ctx context.Context) (isNew bool, err error) {
	err = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, "update strongroom.state set version = version + $1 where version < $1", moved)
		isNew = err == nil && tag.RowsAffected() == 1
		return err
	})
	return isNew, err
}

// UnmarkMoved takes the mark back, because the move has failed.
func (d *DB) UnmarkMoved(ctx context.Context) error {
	return d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "update strongroom.state set version = version - $1 where version >= $1", moved)
		return err
	})
}

// leave removes this node and its duties, if the database answers soon.
func (d *DB) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = d.beside(ctx, func(ctx context.Context, conn *pgx.Conn) error { // they expire in any case
		batch := &pgx.Batch{}
		batch.Queue("delete from strongroom.duties where node = $1", d.node)
		batch.Queue("delete from strongroom.nodes where id = $1", d.node)
		return conn.SendBatch(ctx, batch).Close()
	})
}

// beside runs a short statement on a connection that no request waits for, with a context
// that limits its time.
func (d *DB) beside(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	return databases(d.side.use(ctx, func(conn *pgx.Conn) error { return fn(ctx, conn) }))
}
