// Package metrics has the Prometheus metrics of a server: names, help texts and labels.
//
// names.go lists every series. Values of labels come from the API documents, the config
// and fixed lists, never from a request, so the number of series is bounded, and no
// series has a name, an owner, an address or a path. Package app wires the parts.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of a process. They are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.HistogramVec
	authentications *prometheus.CounterVec
	attempts        *prometheus.CounterVec
	limited         *prometheus.CounterVec
	commits         *prometheus.CounterVec
	commitTime      prometheus.Histogram
	commitChanges   prometheus.Histogram
	queryTime       prometheus.Histogram // registered by Queries

	accepted sequence[string, prometheus.Counter]
	known    map[attempt]prometheus.Counter
}

// A Build describes the program.
type Build struct {
	Version, GoVersion string
	FIPS               bool
}

// New returns metrics. Each scrape calls now for the values that are not counted as they
// happen.
func New(build Build, actions, outcomes []string, now func() Snapshot) *Metrics {
	m := newSeries()
	for _, c := range []prometheus.Collector{
		m.requests, m.authentications, m.attempts, m.limited, m.commits, m.commitTime, m.commitChanges,
		snapshots{now, build},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		m.registry.MustRegister(c) // fails only for a name that is used twice, as a test would show
	}
	for _, action := range actions {
		for _, outcome := range outcomes {
			m.known[attempt{action, outcome}] = m.attempts.WithLabelValues(action, outcome)
		}
	}
	for _, limit := range limits {
		m.limited.WithLabelValues(limit)
	}
	for _, outcome := range commitOutcomes {
		m.commits.WithLabelValues(outcome)
	}
	return m
}

// scrapesAtOnce limits the work that one address can cause.
const scrapesAtOnce = 3

// Handler serves /metrics in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/metrics":
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			scrape.ServeHTTP(w, r)
		}
	})
}

// Accepted counts an authenticated request by the name of its strategy.
func (m *Metrics) Accepted(strategy string) {
	m.accepted.of(strategy, func() prometheus.Counter {
		return m.authentications.WithLabelValues(strategy, AuthAccepted)
	}).Inc()
}

// Refused counts a request without a valid credential. The strategy may be empty. The
// outcome is one of the Auth constants.
func (m *Metrics) Refused(strategy, outcome string) {
	m.authentications.WithLabelValues(strategy, outcome).Inc()
}

// Limited counts a request that a limit refused.
func (m *Metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }

// An attempt identifies a counter.
type attempt struct{ action, outcome string }

// Attempted counts an attempt on a secret.
func (m *Metrics) Attempted(action, outcome string) {
	if c := m.known[attempt{action, outcome}]; c != nil {
		c.Inc()
		return
	}
	m.attempts.WithLabelValues(action, outcome).Inc()
}

// Committed counts a commit. The outcome is one of the Commit constants.
func (m *Metrics) Committed(changes int, took time.Duration, outcome string) {
	m.commits.WithLabelValues(outcome).Inc()
	m.commitTime.Observe(took.Seconds())
	m.commitChanges.Observe(float64(changes))
}

// Queries adds the series about queries of the database that nodes share, and returns the
// function that observes a query. Call it at most once.
func (m *Metrics) Queries() func(took time.Duration) {
	m.registry.MustRegister(m.queryTime) // as in New
	return func(took time.Duration) { m.queryTime.Observe(took.Seconds()) }
}
