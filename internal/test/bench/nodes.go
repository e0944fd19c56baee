package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// The contenders that share a state in PostgreSQL, and what they are compared with.
const (
	theEmbedded    = "strongroom, a state file"
	theNode        = "strongroom, one node"
	theNodes       = "strongroom, three nodes"
	theTransaction = "pgx, a transaction"
	theLeast       = "pgx, one statement"
)

// nodeConns are the numbers of connections for the contests with PostgreSQL.
var nodeConns = []int{1, 64}

// A nodeField is the contenders with PostgreSQL. One node and three nodes have databases
// of their own on one server.
type nodeField struct {
	server   *pgtest.Server
	embedded *runner
	one      *runner
	three    []*runner
	inserter *inserter
	all      []*runner
	shares   []int // PUTs of each of the three nodes in this round
}

// nodes measures nodes on a real PostgreSQL server that waits for the disk.
func (res *results) nodes(ctx context.Context, opts options, binary, dir string) (err error) {
	f := &nodeField{}
	if f.server, err = pgtest.Run(); err != nil {
		say("NOT MEASURED with PostgreSQL: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, f.close()) }()
	say("starting a server with a state file, and nodes on PostgreSQL, with %d secrets each", opts.apps*secretsPer)
	contests, err := f.open(ctx, opts, binary, dir)
	if err != nil {
		return err
	}
	res.contests = append(res.contests, contests...)
	for round := range opts.rounds {
		say("round %d of %d, with PostgreSQL", round+1, opts.rounds)
		f.shares = make([]int, len(f.three))
		for _, c := range contests {
			if err := c.run(ctx, opts.slice); err != nil {
				return err
			}
		}
		res.shares = append(res.shares, float64(slices.Max(f.shares))/float64(max(1, slices.Min(f.shares))))
	}
	res.joins, err = f.join(ctx, opts, binary, filepath.Join(dir, "nodes-join"))
	return err
}

// joining is the number of apps in the database that a node joins: 100,000 secrets.
const joining = 5000

// join measures the time from the exec of a node without a cache to its first 200 of
// /readyz.
func (f *nodeField) join(ctx context.Context, opts options, binary, dir string) (took []time.Duration, err error) {
	say("filling a database with %d secrets, which new nodes join", joining*secretsPer)
	in, url, err := f.install(ctx, options{apps: 1}, binary, dir)
	if err != nil {
		return nil, err
	}
	d := dialect{"Authorization-PSK: " + in.psk, 1}
	if err := in.fillWith(ctx, d, d.creates(joining)[secretsPer:]); err != nil {
		return nil, err
	}
	if err := in.fold(ctx, url); err != nil {
		return nil, err
	}
	for n := range opts.rounds {
		node, err := in.another(filepath.Join(dir, fmt.Sprint("node", n)))
		if err != nil {
			return nil, err
		}
		p, ready, err := node.timeToReady(ctx)
		if err != nil {
			return nil, err
		}
		_, err = ask(p.address, d.request("GET", listPath(joining-1)+"/"+secretName(secretsPer-1), ""))
		if err := errors.Join(err, p.stop()); err != nil {
			return nil, err
		}
		took = append(took, ready)
	}
	return took, nil
}

func (f *nodeField) close() error {
	var errs []error
	for _, r := range f.all {
		r.client.close()
		errs = append(errs, r.stop())
	}
	if f.inserter != nil {
		f.inserter.close()
	}
	f.server.Close()
	return errors.Join(errs...)
}

func (f *nodeField) start(ctx context.Context, in *installation) (*runner, error) {
	p, err := in.start(ctx)
	if err != nil {
		return nil, err
	}
	r := &runner{p, newClient(p.address)}
	f.all = append(f.all, r)
	return r, nil
}

func (f *nodeField) open(ctx context.Context, opts options, binary, dir string) ([]*contest, error) {
	file, err := install(ctx, binary, filepath.Join(dir, "nodes-file"))
	if err != nil {
		return nil, err
	}
	d := dialect{"Authorization-PSK: " + file.psk, opts.apps}
	if err := file.fillWith(ctx, d, d.creates(opts.apps)); err != nil {
		return nil, err
	}
	rows, err := file.rowsOf(ctx, d.puts()[0], d.puts()[1])
	if err != nil {
		return nil, err
	}
	if f.embedded, err = f.start(ctx, file); err != nil {
		return nil, err
	}
	one, _, err := f.install(ctx, opts, binary, filepath.Join(dir, "nodes-one"))
	if err != nil {
		return nil, err
	}
	if f.one, err = f.start(ctx, one); err != nil {
		return nil, err
	}
	three, _, err := f.install(ctx, opts, binary, filepath.Join(dir, "nodes-three"))
	if err != nil {
		return nil, err
	}
	for n := range 3 {
		in, err := three.another(filepath.Join(dir, fmt.Sprint("nodes-three-", n)))
		if err != nil {
			return nil, err
		}
		r, err := f.start(ctx, in)
		if err != nil {
			return nil, err
		}
		f.three = append(f.three, r)
	}
	if f.inserter, err = newInserter(ctx, f.server, rows); err != nil {
		return nil, err
	}
	return f.contests(opts.apps, file.psk, one.psk, three.psk)
}

// install makes a state in a new database and fills it.
func (f *nodeField) install(ctx context.Context, opts options, binary, dir string) (in *installation, url string, err error) {
	if url, err = f.server.CreateDatabase(); err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	file := filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
		return nil, "", err
	}
	if in, err = install(ctx, binary, dir, "--postgres", file); err != nil {
		return nil, "", err
	}
	d := dialect{"Authorization-PSK: " + in.psk, opts.apps}
	return in, url, in.fillWith(ctx, d, d.creates(opts.apps))
}

// fold runs a node until it has brought the rows in the database up to date, which it does
// every 30 seconds. A new node then begins with rows, and not with all the changes. The
// audit entries of this node itself may come after them.
func (in *installation) fold(ctx context.Context, url string) error {
	p, err := in.start(ctx)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return errors.Join(err, p.stop())
	}
	defer func() { _ = conn.Close(ctx) }()
	for isFolded := false; err == nil && !isFolded; time.Sleep(100 * time.Millisecond) {
		err = conn.QueryRow(ctx, "select (select seq from strongroom.folded) > (select max(seq) from strongroom.changes) - 100").Scan(&isFolded)
	}
	return errors.Join(err, p.stop())
}

// another returns an installation of another node on the same database.
func (in *installation) another(dir string) (*installation, error) {
	other := *in
	other.dir = dir
	if err := copyPrivate(in.dir, dir); err != nil {
		return nil, err
	}
	return &other, os.RemoveAll(filepath.Join(dir, "data", "cache"))
}

// contests returns the contests of one round. The keys are those of the servers.
func (f *nodeField) contests(apps int, file, one, three string) (contests []*contest, err error) {
	for _, kind := range []struct {
		part, name string
		build      func(dialect) [][]byte
	}{{"nodes-get", "GET one, nodes", dialect.gets}, {"nodes-put", "PUT, nodes", dialect.puts}, {"nodes-reveal", "GET the values of one, nodes", dialect.reveals}} {
		ops := map[string]*operation{}
		for psk, address := range map[string]string{file: f.embedded.address, one: f.one.address, three: f.three[0].address} {
			op := newOperation(kind.part, kind.name, kind.build, dialect{"Authorization-PSK: " + psk, apps})
			if op.answer, err = ask(address, op.requests[0]); err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			ops[psk] = op
		}
		for _, conns := range nodeConns {
			c := &contest{op: ops[one], conns: conns}
			c.enterFor(theNode, f.one, ops[one])
			c.enterFor(theEmbedded, f.embedded, ops[file])
			c.contenders = append(c.contenders, &contender{name: theNodes, do: func(start, end time.Time) ([]time.Duration, error) {
				return f.loadAll(start, end, ops[three], conns)
			}})
			if kind.part == "nodes-put" {
				c.contenders = append(c.contenders, f.inserter.contender(theTransaction, conns, f.inserter.transaction),
					f.inserter.contender(theLeast, conns, f.inserter.statement))
			}
			contests = append(contests, c)
		}
	}
	return contests, nil
}

// loadAll sends requests to the three nodes at once, over count connections in all, or
// one to each node.
func (f *nodeField) loadAll(start, end time.Time, op *operation, count int) (all []time.Duration, err error) {
	took, errs := make([][]time.Duration, len(f.three)), make([]error, len(f.three))
	var wg sync.WaitGroup
	for i, r := range f.three {
		wg.Go(func() { took[i], errs[i] = r.client.load(start, end, op, max(1, count/len(f.three))) })
	}
	wg.Wait()
	for i, t := range took {
		if op.part == "nodes-put" {
			f.shares[i] += len(t)
		}
		all = append(all, t...)
	}
	return all, errors.Join(errs...)
}

// An inserter inserts rows as large as those of a PUT.
type inserter struct {
	ctx          context.Context
	url          string
	buckets      []string
	keys, values [][]byte
	conns        []*pgx.Conn
}

type insert func(*pgx.Conn) error

// statement inserts the rows with one statement, in one round trip.
func (i *inserter) statement(conn *pgx.Conn) error {
	_, err := conn.Exec(i.ctx, insertSQL, i.buckets, i.keys, i.values)
	return err
}

// transaction inserts the rows in a transaction, as programs usually do.
func (i *inserter) transaction(conn *pgx.Conn) error {
	return pgx.BeginFunc(i.ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(i.ctx, insertSQL, i.buckets, i.keys, i.values)
		return err
	})
}

const (
	insertTable = `create schema bench; create table bench.inserted (id bigint generated always as identity, bucket text not null, key bytea not null, value bytea not null)`
	insertSQL   = `insert into bench.inserted (bucket, key, value) select * from unnest($1::text[], $2::bytea[], $3::bytea[])`
)

func newInserter(ctx context.Context, server *pgtest.Server, rows []row) (*inserter, error) {
	url, err := server.CreateDatabase()
	if err != nil {
		return nil, err
	}
	i := &inserter{ctx: ctx, url: url}
	for _, r := range rows {
		i.buckets, i.keys = append(i.buckets, r.Bucket), append(i.keys, bytes.Repeat([]byte{'k'}, r.KeyBytes))
		i.values = append(i.values, bytes.Repeat([]byte{'v'}, r.ValueBytes))
	}
	conn, err := i.connection(0)
	if err == nil {
		_, err = conn.Exec(ctx, insertTable)
	}
	return i, err
}

func (i *inserter) close() {
	for _, c := range i.conns {
		_ = c.Close(i.ctx)
	}
}

func (i *inserter) connection(n int) (*pgx.Conn, error) {
	for len(i.conns) <= n {
		c, err := pgx.Connect(i.ctx, i.url)
		if err != nil {
			return nil, err
		}
		i.conns = append(i.conns, c)
	}
	return i.conns[n], nil
}

func (i *inserter) contender(name string, conns int, insert insert) *contender {
	return &contender{name: name, do: func(start, end time.Time) ([]time.Duration, error) { return i.load(start, end, conns, insert) }}
}

func (i *inserter) load(start, end time.Time, count int, insert insert) (all []time.Duration, err error) {
	if _, err := i.connection(count - 1); err != nil {
		return nil, err
	}
	took, errs := make([][]time.Duration, count), make([]error, count)
	var wg sync.WaitGroup
	for n, conn := range i.conns[:count] {
		wg.Go(func() {
			took[n], errs[n] = repeat(start, end, func() error { return insert(conn) })
		})
	}
	wg.Wait()
	for _, t := range took {
		all = append(all, t...)
	}
	return all, errors.Join(errs...)
}

// nodesBars prints the bars of nodes on PostgreSQL.
func (p *printer) nodesBars() {
	if c := p.contest("nodes-put", 1); c != nil {
		p.atMost("node, PUT at 1 connection: p50 over the transaction's", overRounds(c[theNode], c[theTransaction], p50), 1.5)
		p.printf("  %-54s %s\n", "the same over a single statement's", overRounds(c[theNode], c[theLeast], p50))
	}
	for _, conns := range nodeConns {
		if c := p.contest("nodes-get", conns); c != nil {
			p.atLeast(fmt.Sprintf("node, masked GET at %d: rate over a state file's", conns), overRounds(c[theNode], c[theEmbedded], rate), 0.5)
		}
	}
	if c := p.contest("nodes-put", 64); c != nil {
		p.atLeast("three nodes, PUT at 64: rate over one node's", overRounds(c[theNodes], c[theNode], rate), 0.5)
	}
	if len(p.res.shares) > 0 {
		shares := slices.Clone(p.res.shares)
		p.atMost("three nodes, PUT: the most of a node over the least", ratio{median(shares), slices.Min(shares), slices.Max(shares)}, 2)
	}
	if len(p.res.joins) > 0 {
		p.printf("  a new node joins a database with %s secrets in %s to %s\n", thousands(joining*secretsPer),
			slices.Min(p.res.joins).Round(time.Millisecond), slices.Max(p.res.joins).Round(time.Millisecond))
	}
}
