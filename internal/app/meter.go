package app

import (
	"context"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/metrics"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/state"
)

// A meter collects the values of the metrics.
type meter struct {
	*metrics.Metrics
	resources *resources
	reloads   *reloader // set before the first scrape

	mu     sync.Mutex // guards the fields below
	stores []metrics.Store
}

// newMeter also observes commits, so it is called before the first change.
func (r *resources) newMeter() *meter {
	m := &meter{resources: r}
	build := metrics.Build{Version: r.version, GoVersion: runtime.Version(), FIPS: fips140.Enabled()}
	m.Metrics = metrics.New(build, texts(measuredActions), texts(measuredOutcomes), m.snapshot)
	if r.node != nil {
		r.node.ObserveHead(m.Queries())
	}
	r.file.Observe(func(c state.Commit) { m.Committed(c.Changes, c.Took, outcomeOf(c.Err)) })
	return m
}

// The actions and outcomes that have a metric. Both lists are fixed, so that the number
// of series is too.
var (
	measuredActions  = []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete, secret.Reveal}
	measuredOutcomes = []secret.Outcome{
		secret.Done, secret.Denied, secret.NotFound, secret.Exists, secret.Changed, secret.Invalid,
		secret.Unavailable, secret.Full, secret.Failed,
	}
)

func texts[T ~string](words []T) (all []string) {
	for _, w := range words {
		all = append(all, string(w))
	}
	return all
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return metrics.CommitDone
	case errors.Is(err, state.ErrFull):
		return metrics.CommitFull
	}
	return metrics.CommitFailed
}

func (m *meter) attempted(action secret.Action, outcome secret.Outcome) {
	m.Attempted(string(action), string(outcome))
}

// scrapeConns limits the connections of the listener for metrics.
const scrapeConns = 32

// endpoint opens the listener for metrics.
func (m *meter) endpoint(address string, reloads *reloader) (server.Endpoint, error) {
	m.reloads = reloads
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return server.Endpoint{}, explainListen("metrics.address or --metrics", address, err)
	}
	m.resources.admin.FindPast()
	return server.Endpoint{Listener: listener, Handler: m.Handler(), Connections: scrapeConns}, nil
}

// Issued keys that end within endsSoon are counted as expiring.
const endsSoon = 7 * 24 * time.Hour

// snapshot returns the current values for a scrape. It sends no network requests.
func (m *meter) snapshot() metrics.Snapshot {
	r := m.resources
	s := metrics.Snapshot{
		StateBytes: r.file.Bytes(), Reserve: r.file.HasReserve(),
		AuditSound: r.audit.Check() == nil, AuditUnwritten: r.audit.Unwritten(),
		LastBackup: r.admin.LastBackup(), Stores: m.health(),
		RequestBytes: r.budget.Used(), RequestLimit: r.budget.Total(), BytesRefused: r.budget.Refused(), ConnsEvicted: r.evicted.Load(),
		LinesDropped: r.lines.Dropped(), LastCheckpoint: r.file.LastCheckpoint(),
	}
	s.JournalUsed, s.JournalBytes = r.file.JournalFill()
	s.Database = r.node.measure()
	s.FileKeys, s.FileKeysEnding = r.inForce.Count(endsSoon)
	s.DiskFreeBytes, s.DiskBytes = space(r.file.Path())
	if last, err := r.audit.Tail(1); err == nil && len(last) > 0 {
		s.AuditHead, s.AuditLast = last[0].Seq, last[0].Event.Time
	}
	if a := r.anchorer; a != nil {
		last := a.Last()
		s.Anchored, s.AnchorWorks, s.AnchorTime, s.AnchorHead = true, a.Err() == nil, last.Time, last.Seq
	}
	if st, sending := r.streamed(), r.sending(); st != nil && sending != nil {
		counts := sending.Status()
		s.Stream = metrics.Stream{
			On: true, Up: st.Problem == "", Delivered: st.Delivered, Waiting: st.Waiting, Oldest: st.Oldest, Sent: counts.Sent, Failures: counts.Failures,
		}
	}
	keyring := r.admin.KeyringNow()
	s.Resealing, s.ResealedRows, s.SealingKeys = keyring.Resealing, keyring.Resealed, len(keyring.IDs)
	api, agent := r.keys.Count(endsSoon)
	s.Keys = []metrics.IssuedKeys{{Kind: "apikey", Live: api.Live, Ending: api.Ending}, {Kind: "agent-key", Live: agent.Live, Ending: agent.Ending}}
	status := m.reloads.config()
	s.ConfigWorks, s.ConfigTime, s.NeedRestart = status.Problem == nil, status.Since, len(status.NeedsRestart)
	if t := m.reloads.current.TLS(); t != nil {
		s.Certificate = expiryOf(t.Certificates[0].Certificate)
	}
	return s
}

// expiryOf returns when the first certificate of a chain expires.
func expiryOf(chain [][]byte) (first time.Time) {
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err == nil && (first.IsZero() || c.NotAfter.Before(first)) {
			first = c.NotAfter
		}
	}
	return first
}

const (
	checkStoresEvery  = 10 * time.Second
	checkStoresWithin = 5 * time.Second
)

// watchStores checks the stores until ctx is done, so that a scrape never waits for a
// cluster.
func (m *meter) watchStores(ctx context.Context) {
	tick := time.NewTicker(checkStoresEvery)
	defer tick.Stop()
	for {
		m.checkStores(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) checkStores(ctx context.Context) {
	var checked []metrics.Store
	for _, name := range slices.Sorted(maps.Keys(m.resources.stores)) {
		within, cancel := context.WithTimeout(ctx, checkStoresWithin)
		began := time.Now()
		err := m.resources.stores[name].Check(within)
		checked = append(checked, metrics.Store{Name: name, Up: err == nil, Took: time.Since(began)})
		cancel()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores = checked
}

func (m *meter) health() []metrics.Store {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stores
}
