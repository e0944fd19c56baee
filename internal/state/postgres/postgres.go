// Package postgres is the log of change sets that several nodes share, in a PostgreSQL
// database. The database has the state twice: as the changes of the last day, and as all
// rows after one of them, from which a new node begins.
//
// Start reading at schema.sql and [DB.Append].
package postgres

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/state"
)

var (
	// ErrNoState means that the database has no state yet. Open never creates one: an
	// empty state in place of one in another database would look like the loss of
	// everything.
	ErrNoState = errors.New("the database has no state of Strongroom")
	// ErrExists means that the database already has a state.
	ErrExists = errors.New("the database already has a state of Strongroom")
	// ErrMoved means that the state has been moved to a file: see [DB.MarkMoved]. It is a
	// state.ErrDiverged.
	ErrMoved error = unusable("the state has been moved from this database to a file")
)

// Options say where the database is, and which node this is.
type Options struct {
	URL     string // as for psql; may have several hosts
	Node    string // name of this node, for people
	Version string // of this program, for people
	Moved   bool   // use also a state that has been moved to a file: see [DB.MarkMoved]
}

// A DB is an open database with a state. It is safe for concurrent use, except for the
// methods that [state.SharedLog] excludes.
type DB struct {
	options Options
	node    string // id of this process
	config  *pgx.ConnConfig
	is      identity

	log   link // for Append, Since, Lock
	reads link // for Head
	side  link // for nodes, duties, Fold: nothing that a request waits for

	naming naming // of statements that requests wait for: those of log and reads

	locking *pgx.Conn // that of log, while it is in a transaction that keeps others from appending
	warned  error     // the last warning on the connection of log
	heads   heads
	counts  counts
}

var _ state.SharedLog = (*DB)(nil)

// Open connects to a database. Errors: ErrNoState, state.ErrAway, and sentences about a
// database that must not be used as it is, or by this program.
func Open(ctx context.Context, o Options) (*DB, error) {
	config, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	d := &DB{options: o, node: rand.Text(), config: config}
	d.heads.ask, d.heads.turn = d.askHead, make(chan struct{}, 1)
	for _, l := range []*link{&d.log, &d.reads, &d.side} {
		l.dial = d.dial
	}
	d.log.dial, d.reads.dial = d.dialLog, d.dialReads
	if d.is, err = o.identify(ctx, config); err != nil {
		return nil, err
	}
	return d, nil
}

// Identity returns that of the state when the database was opened. A connection to
// another state is refused later.
func (d *DB) Identity(context.Context) (id string, lineage [16]byte, err error) {
	return d.is.id, d.is.lineage, nil
}

// Close ends the connections, and the duties of this node.
func (d *DB) Close() error {
	d.leave()
	for _, l := range []*link{&d.log, &d.reads, &d.side} {
		l.close()
	}
	return nil
}

// An identity says which state a database has.
type identity struct {
	id      string
	lineage [16]byte
}

// identify connects once, so that the reason why a database cannot be used is returned as
// it is.
func (o Options) identify(ctx context.Context, config *pgx.ConnConfig) (identity, error) {
	conn, err := connect(ctx, config)
	if err != nil {
		return identity{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return o.identityOf(ctx, conn)
}

// dial opens a connection to the same state as before.
func (d *DB) dial(ctx context.Context) (*pgx.Conn, error) { return d.dialAs(ctx, d.config) }

func (d *DB) dialLog(ctx context.Context) (*pgx.Conn, error) {
	config := d.naming.config(d.config)
	config.OnNotice = d.noticed
	return d.dialAs(ctx, config)
}

func (d *DB) dialReads(ctx context.Context) (*pgx.Conn, error) {
	return d.dialAs(ctx, d.naming.config(d.config))
}

func (d *DB) dialAs(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := connect(ctx, config)
	if err != nil {
		return nil, err
	}
	is, err := d.options.identityOf(ctx, conn)
	if err == nil && is != d.is {
		err = unusable("the database has another state now")
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}
