package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// The names of the contenders that a PUT into a cluster is compared with.
const (
	thePatch   = "the same JSON Patch, directly"
	theBoth    = "a commit, then the patch"
	theHandler = "echo + bbolt + the patch"
	theNaive   = "GET, then PUT, directly"
)

// kubeConns are the numbers of connections for the contests with a cluster.
var kubeConns = []int{1, 32}

// A kubeField is the contenders with a cluster: a server that stores its secrets
// there, and clients that change the same secrets directly.
type kubeField struct {
	cluster *kubetest.Server
	direct  *patcher
	server  *runner
	floors  []*runner // one for each of kubeConns
	put     *operation
	raw     *committer // for one
	shared  *committer // for many connections
}

// kubernetes measures PUTs into a real API server whose etcd waits for the disk.
func (res *results) kubernetes(ctx context.Context, opts options, binary, dir string) (err error) {
	if !kubetest.IsBuilt() {
		say("NOT MEASURED with Kubernetes: the API server is not built, make kubetest does that")
		return nil
	}
	say("starting an API server of Kubernetes, and a server that keeps %d secrets there", opts.apps*secretsPer)
	f := &kubeField{}
	defer func() { err = errors.Join(err, f.close()) }()
	if f.cluster, err = kubetest.Run(ctx, kubetest.Options{Fsync: true, NoAudit: true}); err != nil {
		return err
	}
	if err := f.open(ctx, opts, binary, dir); err != nil {
		return err
	}
	contests := f.contests()
	res.contests = append(res.contests, contests...)
	for round := range opts.rounds {
		say("round %d of %d, with Kubernetes", round+1, opts.rounds)
		for _, c := range contests {
			if err := c.run(ctx, opts.slice); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *kubeField) close() error {
	var errs []error
	running := f.floors
	if f.server != nil {
		running = append(running, f.server)
	}
	for _, r := range running {
		r.client.close()
		errs = append(errs, r.stop())
	}
	if f.raw != nil {
		errs = append(errs, f.raw.db.Close())
	}
	if f.cluster != nil {
		f.cluster.Stop()
	}
	return errors.Join(errs...)
}

func (f *kubeField) open(ctx context.Context, opts options, binary, dir string) (err error) {
	if f.direct, err = newPatcher(clusterSecrets{Kubeconfig: f.kubeconfig(), Namespace: "bench"}); err != nil {
		return err
	}
	namespace := fmt.Appendf(nil, `{"metadata":{"name":%q}}`, f.direct.Namespace)
	if _, err := f.direct.client.Post().Resource("namespaces").Body(namespace).DoRaw(ctx); err != nil {
		return err
	}
	in, err := f.install(ctx, binary, dir)
	if err != nil {
		return err
	}
	d := dialect{"Authorization-PSK: " + in.psk, opts.apps}
	if err := f.fill(ctx, in, d); err != nil {
		return err
	}
	rows, err := in.rowsOf(ctx, d.puts()[0], d.puts()[1])
	if err != nil {
		return err
	}
	// The audit entry with the outcome of a PUT follows later, combined with others.
	ended := slices.IndexFunc(rows, func(r row) bool { return r.Kind == appended })
	rows = slices.Delete(rows, ended, ended+1)
	raw := filepath.Join(dir, "kubernetes-raw.db")
	if err := copyFile(in.stateFile(), raw); err != nil {
		return err
	}
	if err := f.openRaw(raw, rows); err != nil {
		return err
	}
	p, err := in.start(ctx)
	if err != nil {
		return err
	}
	f.server = &runner{p, newClient(p.address)}
	f.put = &operation{part: "kubernetes", name: "PUT into a cluster", requests: d.puts()}
	if f.put.answer, err = ask(p.address, f.put.requests[0]); err != nil {
		return err
	}
	return f.startFloors(ctx, dir, rows)
}

func (f *kubeField) openRaw(path string, rows []row) error {
	db, err := openFile(path)
	if err != nil {
		return err
	}
	setBatch(db, slices.Max(kubeConns))
	if f.raw, err = newCommitter(db, rows, 1); err != nil {
		return err
	}
	shared := *f.raw
	shared.batch = true
	f.shared = &shared
	return nil
}

// startFloors starts handlers that do the necessary work of a PUT, one for each
// number of connections.
func (f *kubeField) startFloors(ctx context.Context, dir string, rows []row) error {
	for _, conns := range kubeConns {
		file := filepath.Join(dir, fmt.Sprintf("kubernetes-floor-%d.db", conns))
		if err := copyFile(f.raw.db.Path(), file); err != nil {
			return err
		}
		p, err := startFloor(ctx, floorSpec{
			Put: f.put.answer, File: file, Rows: rows, Secrets: 1, Sharers: conns, Cluster: &f.direct.clusterSecrets,
		})
		if err != nil {
			return err
		}
		f.floors = append(f.floors, &runner{p, newClient(p.address)})
	}
	return nil
}

func (f *kubeField) kubeconfig() []byte { return f.cluster.Kubeconfig(f.cluster.Admin().BearerToken) }

// install returns an installation that stores its secrets in the cluster.
func (f *kubeField) install(ctx context.Context, binary, dir string) (*installation, error) {
	dir = filepath.Join(dir, "kubernetes")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	in, err := install(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(in.dir, "kubeconfig"), f.kubeconfig(), 0o600); err != nil {
		return nil, err
	}
	file := filepath.Join(in.dir, "strongroom.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	const embedded = "embedded: {bolt: {}}"
	text = bytes.Replace(text, []byte(embedded), []byte("embedded: {kubernetes: {namespace: "+f.direct.Namespace+", kubeconfig: kubeconfig}}"), 1)
	return in, os.WriteFile(file, text, 0o600)
}

// fill creates the secrets that the requests use, and finds their names in the
// cluster.
func (f *kubeField) fill(ctx context.Context, in *installation, d dialect) (err error) {
	p, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	op := &operation{name: "POST", requests: d.creates(d.apps)}
	c := newClient(p.address)
	defer c.close()
	if err := c.each(op, 16); err != nil {
		return err
	}
	for app := range d.apps {
		a, err := ask(p.address, d.request("GET", listPath(app), ""))
		if err != nil {
			return err
		}
		var listed []struct {
			Name   string `json:"secret_name"`
			Object string `json:"k8s_name"`
		}
		if err := json.Unmarshal(a.Body, &listed); err != nil {
			return err
		}
		id := strings.Split(listPath(app), "/")[3]
		for _, l := range listed {
			f.direct.Secrets = append(f.direct.Secrets, stored{id, l.Name, l.Object})
		}
	}
	return nil
}

func (f *kubeField) contests() (contests []*contest) {
	for i, conns := range kubeConns {
		c := &contest{op: f.put, conns: conns}
		c.enter(theServer, f.server)
		c.together(thePatch, conns, f.direct.patch)
		commit := f.shared.commit
		if i == 0 {
			commit = f.raw.commit
		}
		c.together(theBoth, conns, func() error { return cmp.Or(commit(), f.direct.patch()) })
		c.enter(theHandler, f.floors[i])
		c.together(theNaive, conns, f.direct.naive)
		if i == 0 {
			c.repeat(theRaw, f.raw.commit)
		}
		contests = append(contests, c)
	}
	return contests
}

// together adds a contender of count goroutines that call do concurrently.
func (r *contest) together(name string, count int, do func() error) {
	r.contenders = append(r.contenders, &contender{
		name: name,
		do: func(start, end time.Time) ([]time.Duration, error) {
			took, errs := make([][]time.Duration, count), make([]error, count)
			var wg sync.WaitGroup
			for i := range count {
				wg.Go(func() { took[i], errs[i] = repeat(start, end, do) })
			}
			wg.Wait()
			var all []time.Duration
			for _, t := range took {
				all = append(all, t...)
			}
			return all, errors.Join(errs...)
		},
	})
}
