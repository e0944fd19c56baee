package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A field is all servers and floors that are compared.
type field struct {
	d     dialect
	token string

	server, written *runner // written returns values before the flush of their audit entries
	echo, floor     *runner
	etcd            *runner // may be nil
	rival           *runner // may be nil
	rivals          dialect // with the rival's key
	disk            *disk

	all                            []*runner
	get, list, put, create, reveal *operation
}

// A runner is a process and the client that sends it requests.
type runner struct {
	*process
	client *client
}

func (f *field) add(p *process, err error) (*runner, error) {
	if err != nil {
		return nil, err
	}
	r := &runner{p, newClient(p.address)}
	f.all = append(f.all, r)
	return r, nil
}

func (f *field) close() error {
	var errs []error
	for _, r := range f.all {
		r.client.close()
		errs = append(errs, r.stop())
	}
	if f.disk != nil {
		errs = append(errs, f.disk.file.Close())
	}
	return errors.Join(errs...)
}

// learn asks the server for the answers that the floors will give.
func (f *field) learn(spec *floorSpec) error {
	f.get = newOperation("get", "GET one", dialect.gets, f.d)
	f.list = newOperation("list", fmt.Sprintf("GET a list of %d", secretsPer), dialect.lists, f.d)
	f.put = newOperation("put", "PUT", dialect.puts, f.d)
	f.reveal = newOperation("reveal", "GET the values of one", dialect.reveals, f.d)
	f.create = &operation{part: "create", name: "POST", fresh: f.d.freshCreates()}
	for op, known := range map[*operation]*answer{f.get: &spec.Get, f.list: &spec.List, f.put: &spec.Put, f.create: &spec.Create, f.reveal: &spec.Reveal} {
		var err error
		if op.answer, err = ask(f.server.address, op.next(0)); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
		*known = op.answer
	}
	return nil
}

// A contest compares contenders that take turns at one operation over one number
// of connections.
type contest struct {
	op         *operation
	conns      int
	contenders []*contender
}

// A contender does the work of a contest, or a part of it.
type contender struct {
	name    string
	do      func(start, end time.Time) ([]time.Duration, error)
	process *process // nil: it is this one
	rounds  []figures
}

// The contenders' names.
const (
	theServer  = "strongroom"
	theRival   = "another strongroom"
	byKey      = "strongroom, by API key"
	theEcho    = "echo, same bytes"
	theWritten = "strongroom, reads written"
	theFloor   = "echo + append + flush"
	theEtcd    = "etcd, put by gRPC"
	theRaw     = "bbolt, same rows"
	theDisk    = "fdatasync of a page"
)

// contests returns the contests of one round.
func (f *field) contests(opts options) (contests []*contest) {
	for _, op := range []*operation{f.get, f.list, f.put, f.create, f.reveal} {
		if !slices.Contains(opts.only, op.part) {
			continue
		}
		rivals := op.in(f.rivals) // once: no secret can be created twice
		puts := &operation{name: "put", requests: f.d.etcdPuts()}
		for i, conns := range opts.conns {
			r := &contest{op: op, conns: conns}
			r.enter(theServer, f.server)
			if f.rival != nil {
				r.enterFor(theRival, f.rival, rivals)
			}
			r.enter(theEcho, f.echo)
			if op == f.put || op == f.create || op == f.reveal {
				r.enter(theFloor, f.floor)
			}
			if op == f.reveal {
				r.enter(theWritten, f.written)
			}
			if op == f.put && f.etcd != nil {
				r.enterFor(theEtcd, f.etcd, puts)
			}
			if op == f.put && i == 0 { // without connections
				r.repeat(theDisk, f.disk.sync)
			}
			contests = append(contests, r)
		}
	}
	if slices.Contains(opts.only, "token") {
		for _, conns := range opts.conns {
			contests = append(contests, f.byToken(conns))
		}
	}
	return contests
}

// byToken compares the same request with an access token and with an API key. The
// token is verified in the warm-up and then cached.
func (f *field) byToken(conns int) *contest {
	tokens := dialect{"Authorization: Bearer " + f.token, f.d.apps}
	op := &operation{part: "token", name: "GET one, by access token", requests: tokens.gets(), answer: f.get.answer}
	r := &contest{op: op, conns: conns}
	r.enter(theServer, f.server)
	r.enterFor(byKey, f.server, f.get)
	return r
}

func (r *contest) enter(name string, with *runner) { r.enterFor(name, with, r.op) }

func (r *contest) enterFor(name string, with *runner, op *operation) {
	r.contenders = append(r.contenders, &contender{
		name: name, process: with.process,
		do: func(start, end time.Time) ([]time.Duration, error) {
			return with.client.load(start, end, op, r.conns)
		},
	})
}

func (r *contest) repeat(name string, what func() error) {
	r.contenders = append(r.contenders, &contender{
		name: name,
		do:   func(start, end time.Time) ([]time.Duration, error) { return repeat(start, end, what) },
	})
}

// turns is the number of turns of each contender in a round. Many short turns
// spread the noise of the machine evenly over the contenders.
const turns = 8

// run runs a round: all contenders take turns, in a changing order, so that none always
// follows the same other one.
func (r *contest) run(ctx context.Context, slice time.Duration) error {
	laps := make([]lap, len(r.contenders))
	var order []int
	for range turns {
		order = append(order, rand.Perm(len(laps))...)
	}
	for _, i := range order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := laps[i].add(r.contenders[i], slice); err != nil {
			return fmt.Errorf("%s, %d connections, %s: %w", r.op.name, r.conns, r.contenders[i].name, err)
		}
	}
	for i, c := range r.contenders {
		c.rounds = append(c.rounds, laps[i].figures())
	}
	return nil
}

// warmUp is not counted: the CPU's caches still hold another contender's data.
const warmUp = 50 * time.Millisecond

// A lap is the work of a contender in a round and its cost.
type lap struct {
	took           []time.Duration
	wall           time.Duration
	client, server time.Duration // CPU
}

func (l *lap) add(c *contender, slice time.Duration) error {
	start := time.Now().Add(warmUp)
	end := start.Add(slice)
	used := make(chan [2]time.Duration)
	go func() {
		time.Sleep(time.Until(start))
		client, server := ownCPU(), cpuOf(c.process)
		time.Sleep(time.Until(end))
		used <- [2]time.Duration{ownCPU() - client, cpuOf(c.process) - server}
	}()
	took, err := c.do(start, end)
	cpu := <-used
	l.took = append(l.took, took...)
	l.wall += slice
	l.client += cpu[0]
	l.server += cpu[1]
	return err
}

// figures summarize a lap.
type figures struct {
	rate     float64       // a second
	p50, p99 time.Duration // of one
	cpu      time.Duration // of the server, for one
	client   float64       // the client's share of the CPU time that both used
}

func (l *lap) figures() figures {
	slices.Sort(l.took)
	n := len(l.took)
	if n == 0 {
		return figures{}
	}
	f := figures{
		rate: float64(n) / l.wall.Seconds(), p50: l.took[n/2], p99: l.took[n*99/100],
		cpu: l.server / time.Duration(n),
	}
	if l.server > 0 {
		f.client = float64(l.client) / float64(l.client+l.server)
	}
	return f
}
