package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// results are all measurements.
type results struct {
	records  records // that requests append to the journal
	contests []*contest
	starts   []start         // of the server, with all secrets in it
	loaded   memory          // of the server after the last round
	shares   []float64       // the largest part of the PUTs of three nodes that one of them had, over the smallest, by round
	joins    []time.Duration // of new nodes, until they are ready
}

// measure fills a server with secrets, times its start, and runs the contests.
func measure(ctx context.Context, opts options, dir string) (*results, error) {
	say("building the server")
	in, err := install(ctx, opts.binary, dir)
	if err != nil {
		return nil, err
	}
	res := &results{}
	switch {
	case slices.Equal(opts.only, []string{"kubernetes"}):
		return res, res.kubernetes(ctx, opts, in.binary, dir)
	case slices.Equal(opts.only, []string{"nodes"}):
		return res, res.nodes(ctx, opts, in.binary, dir)
	}
	say("filling it with %d secrets", apps*secretsPer)
	tokens, err := newIssuer()
	if err != nil {
		return nil, err
	}
	defer func() { _ = tokens.listener.Close() }()
	if slices.Contains(opts.only, "token") {
		if err := in.takeTokens(tokens); err != nil {
			return nil, err
		}
	}
	d := dialect{"Authorization-PSK: " + in.psk, opts.apps}
	if err := in.fill(ctx, d); err != nil {
		return nil, fmt.Errorf("filling the server: %w", err)
	}
	if slices.Contains(opts.only, "idle") {
		say("starting it %d times", opts.rounds)
		if res.starts, err = in.measureStarts(ctx, opts.rounds); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(opts.only, func(part string) bool { return !slices.Contains([]string{"idle", "kubernetes", "nodes"}, part) }) {
		in.profile, in.delay = opts.profile, opts.delay
		err = res.contest(ctx, opts, in, d, tokens.token, dir)
	}
	if err == nil && slices.Contains(opts.only, "kubernetes") {
		err = res.kubernetes(ctx, opts, in.binary, dir)
	}
	if err == nil && slices.Contains(opts.only, "nodes") {
		err = res.nodes(ctx, opts, in.binary, dir)
	}
	return res, err
}

// addRival starts the other server with the same secrets. It creates all its files
// itself, because another version may not read those of this one.
func (f *field) addRival(ctx context.Context, opts options, dir string) error {
	say("filling the other server with %d secrets", apps*secretsPer)
	in, err := install(ctx, opts.rival, filepath.Join(dir, "rival"))
	if err != nil {
		return err
	}
	f.rivals = dialect{"Authorization-PSK: " + in.psk, opts.apps}
	if err := in.fill(ctx, f.rivals); err != nil {
		return err
	}
	in.delay = opts.delay
	f.rival, err = f.add(in.start(ctx))
	return err
}

// addEtcd starts etcd, if it is built already.
func (f *field) addEtcd(ctx context.Context, opts options) error {
	if !slices.Contains(opts.only, "put") {
		return nil
	}
	if !kubetest.IsBuilt() {
		say("NOT COMPARED with etcd: it is not built, make kubetest does that")
		return nil
	}
	e, err := kubetest.RunEtcd(ctx, slowed(opts.delay))
	if err != nil {
		return err
	}
	f.etcd, err = f.add(&process{pid: e.PID, address: e.Address, stop: func() error { e.Stop(); return nil }}, nil)
	if err == nil {
		f.etcd.client.dial = dialEtcd
	}
	return err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "… "+format+"\n", args...) }

// fill creates all secrets.
func (in *installation) fill(ctx context.Context, d dialect) error {
	return in.fillWith(ctx, d, d.creates(apps))
}

// fillWith sends requests that create secrets, and then changes those that are requested
// until they have all versions.
func (in *installation) fillWith(ctx context.Context, d dialect, creates [][]byte) (err error) {
	p, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	op := &operation{name: "POST", requests: creates}
	if op.answer, err = ask(p.address, op.requests[0]); err != nil {
		return err
	}
	op.requests = op.requests[1:]
	c := newClient(p.address)
	defer c.close()
	if err := c.each(op, 64); err != nil {
		return err
	}
	op = &operation{name: "PUT", requests: d.puts()}
	if op.answer, err = ask(p.address, op.requests[0]); err != nil {
		return err
	}
	for range versionsKept {
		if err := c.each(op, 64); err != nil {
			return err
		}
	}
	return nil
}

// versionsKept is the server's default number of earlier versions per secret. A secret
// with that many versions drops one on each PUT, as most secrets eventually do.
const versionsKept = 10

// rowsOf returns the rows that a request commits, found by comparing two similar
// requests.
func (in *installation) rowsOf(ctx context.Context, one, another []byte) ([]row, error) {
	rows, err := in.rowsOfOne(ctx, one)
	if err != nil {
		return nil, err
	}
	others, err := in.rowsOfOne(ctx, another)
	return generalize(rows, others), err
}

// rowsOfOne compares the state file before and after the request.
func (in *installation) rowsOfOne(ctx context.Context, request []byte) ([]row, error) {
	before, err := snapshotOf(in.stateFile())
	if err != nil {
		return nil, err
	}
	p, err := in.start(ctx)
	if err != nil {
		return nil, err
	}
	_, err = ask(p.address, request)
	if err := errors.Join(err, p.stop()); err != nil {
		return nil, err
	}
	after, err := snapshotOf(in.stateFile())
	return rowsBetween(before, after), err
}

// A start is the measurement of one start of the server.
type start struct {
	ready time.Duration
	idle  memory
}

// settled is the pause before a server's memory is measured.
const settled = time.Second

func (in *installation) measureStarts(ctx context.Context, times int) (starts []start, err error) {
	for range times {
		p, ready, err := in.timeToReady(ctx)
		if err != nil {
			return nil, err
		}
		time.Sleep(settled)
		idle, err := memoryOf(p)
		if err := errors.Join(err, p.stop()); err != nil {
			return nil, err
		}
		starts = append(starts, start{ready, idle})
	}
	return starts, nil
}

// contest starts the servers and floors, and runs all rounds.
func (res *results) contest(ctx context.Context, opts options, in *installation, d dialect, token, dir string) (err error) {
	f := &field{d: d, token: token}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.open(ctx, opts, in, dir, &res.records); err != nil {
		return err
	}
	res.contests = f.contests(opts)
	for round := range opts.rounds {
		say("round %d of %d", round+1, opts.rounds)
		for _, r := range res.contests {
			if err := r.run(ctx, opts.slice); err != nil {
				return err
			}
		}
	}
	time.Sleep(settled)
	res.loaded, err = memoryOf(f.server.process)
	return err
}

// open starts all contenders.
func (f *field) open(ctx context.Context, opts options, in *installation, dir string, sizes *records) (err error) {
	other, err := in.writing(filepath.Join(dir, "written"))
	if err != nil {
		return fmt.Errorf("copying the server's files: %w", err)
	}
	if f.server, err = f.add(in.start(ctx)); err != nil {
		return err
	}
	if f.written, err = f.add(other.start(ctx)); err != nil {
		return err
	}
	if err := f.addEtcd(ctx, opts); err != nil {
		return err
	}
	if opts.rival != "" {
		if err := f.addRival(ctx, opts, dir); err != nil {
			return fmt.Errorf("--against: %w", err)
		}
	}
	spec := floorSpec{Delay: opts.delay}
	if err := f.learn(&spec); err != nil {
		return err
	}
	if f.echo, err = f.add(startFloor(ctx, spec)); err != nil {
		return err
	}
	if spec.Records, err = f.recordsOf(in); err != nil {
		return err
	}
	*sizes, spec.Journal = spec.Records, filepath.Join(dir, "floor.journal")
	if f.floor, err = f.add(startFloor(ctx, spec)); err != nil {
		return err
	}
	f.disk, err = openDisk(dir)
	return err
}

// recordsOf measures the records of the requests.
func (f *field) recordsOf(in *installation) (r records, err error) {
	for op, size := range map[*operation]*int{f.put: &r.Put, f.create: &r.Create, f.reveal: &r.Reveal} {
		n := 0
		*size, err = in.recordOf(f.server.address, func() []byte { n++; return op.next(n) })
		if err != nil {
			return r, fmt.Errorf("%s: %w", op.name, err)
		}
	}
	return r, nil
}
