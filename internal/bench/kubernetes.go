package main

import (
	"bytes"
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/strongroom/strongroom/internal/kubetest"
)

// What a PUT into a cluster is compared with.
const (
	thePatch   = "the same JSON Patch, directly"
	theBoth    = "a commit, then the patch"
	theHandler = "echo + bbolt + the patch"
	theNaive   = "GET, then PUT, directly"
)

// kubeConns are the numbers of connections for the contests with a cluster.
var kubeConns = []int{1, 32}

// A kubeField is who takes part in the contests with a cluster: a server that
// keeps its secrets in one, and what could be done to these without it.
type kubeField struct {
	cluster *kubetest.Server
	direct  *patcher
	server  *runner
	floors  []*runner // for each of kubeConns
	put     *operation
	raw     *committer // for one
	shared  *committer // for many at a time
}

// clusterSecrets are what a patcher patches, as a floor can be told.
type clusterSecrets struct {
	Kubeconfig []byte
	Namespace  string
	Secrets    []stored
}

// A stored secret is one in the cluster.
type stored struct{ App, Name, Object string }

// A patcher writes to a cluster's secrets by client-go, and by nothing of ours.
type patcher struct {
	clusterSecrets
	client *rest.RESTClient
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
	// What else is in the file changes when a server starts, not with a PUT.
	rows = slices.DeleteFunc(rows, func(r row) bool { return r.Bucket != "audit" })
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
	f.server = &runner{p, &client{address: p.address}}
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
	db.MaxBatchSize, db.MaxBatchDelay = batchSize, batchDelay
	if f.raw, err = newCommitter(db, rows, 1); err != nil {
		return err
	}
	shared := *f.raw
	shared.batch = true
	f.shared = &shared
	return nil
}

// startFloors starts handlers that do of a PUT what has to be done, one for each
// number of connections.
func (f *kubeField) startFloors(ctx context.Context, dir string, rows []row) error {
	for _, conns := range kubeConns {
		file := filepath.Join(dir, fmt.Sprintf("kubernetes-floor-%d.db", conns))
		if err := copyFile(f.raw.db.Path(), file); err != nil {
			return err
		}
		p, err := startFloor(ctx, floorSpec{
			Put: f.put.answer, File: file, Rows: rows, Secrets: 1, Batch: conns > 1, Cluster: &f.direct.clusterSecrets,
		})
		if err != nil {
			return err
		}
		f.floors = append(f.floors, &runner{p, &client{address: p.address}})
	}
	return nil
}

func (f *kubeField) kubeconfig() []byte { return f.cluster.Kubeconfig(f.cluster.Admin().BearerToken) }

// newPatcher uses client-go's client as it is, but for its limit on requests.
func newPatcher(c clusterSecrets) (*patcher, error) {
	cfg, err := clientcmd.RESTConfigFromKubeConfig(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	cfg.APIPath, cfg.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	client, err := rest.RESTClientFor(cfg)
	return &patcher{c, client}, err
}

// install makes an installation that keeps its secrets in the cluster.
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

// fill creates the secrets that requests go round, and finds out what they are
// called in the cluster.
func (f *kubeField) fill(ctx context.Context, in *installation, d dialect) (err error) {
	p, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	op := &operation{name: "POST", requests: d.creates()[:d.apps*secretsPer]}
	c := &client{address: p.address}
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

// together enters so many who do the same at the same time.
func (r *contest) together(name string, count int, what func() error) {
	r.contenders = append(r.contenders, &contender{
		name: name,
		do: func(start, end time.Time) ([]time.Duration, error) {
			took, errs := make([][]time.Duration, count), make([]error, count)
			var wg sync.WaitGroup
			for i := range count {
				wg.Go(func() { took[i], errs[i] = repeat(start, end, what) })
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

// patch is what the store sends for a PUT, to one of the secrets.
func (p *patcher) patch() error {
	s := p.any()
	ours := func(name string) string { return "strongroom.github.io~1" + name }
	body := fmt.Sprintf(`[`+
		`{"op":"test","path":"/metadata/labels/app.kubernetes.io~1managed-by","value":"strongroom"},`+
		`{"op":"test","path":"/metadata/labels/%s","value":%q},`+
		`{"op":"test","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"test","path":"/type","value":"Opaque"},`+
		`{"op":"test","path":"/metadata/deletionTimestamp","value":null},`+
		`{"op":"test","path":"/metadata/labels/%s","value":null},`+
		`{"op":"add","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"add","path":"/metadata/annotations/%s","value":%q},`+
		`{"op":"add","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration","value":""},`+
		`{"op":"remove","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},`+
		`{"op":"add","path":"/data","value":{"username":"c2VydmljZS11c2Vy","password":%q}}]`,
		ours("app-id"), s.App, ours("name"), s.Name, ours("leaving"),
		ours("updated"), time.Now().UTC().Format(time.RFC3339Nano), ours("write"), cryptorand.Text(), newPassword())
	_, err := p.at(p.client.Patch(types.JSONPatchType), s).Body([]byte(body)).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").
		DoRaw(context.Background())
	return err
}

func (p *patcher) any() stored { return p.Secrets[rand.IntN(len(p.Secrets))] }

func (p *patcher) at(r *rest.Request, s stored) *rest.Request {
	return r.Namespace(p.Namespace).Resource("secrets").Name(s.Object)
}

// newPassword is 64 letters and digits, which are good base64, too.
func newPassword() []byte {
	return []byte((cryptorand.Text() + cryptorand.Text() + cryptorand.Text())[:64])
}

// naive looks, changes and writes back, and starts again if somebody was
// faster, as most programs do.
func (p *patcher) naive() error {
	ctx, s := context.Background(), p.any()
	for {
		text, err := p.at(p.client.Get(), s).DoRaw(ctx)
		if err != nil {
			return err
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			return err
		}
		object["data"] = map[string][]byte{"username": []byte("service-user"), "password": newPassword()}
		body, err := json.Marshal(object)
		if err != nil {
			return err
		}
		_, err = p.at(p.client.Put(), s).Body(body).DoRaw(ctx)
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}
