package metrics

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Route has the histograms of one operation. It is safe for concurrent use.
type Route struct {
	vec *prometheus.HistogramVec
	// by status; the label lookup of the library would cost a request more than the
	// observation itself
	byStatus sequence[int, prometheus.Observer]
	labels   []string
}

// Route returns the histograms of an operation of an API's document. Method and
// operation are empty for requests without an operation.
func (m *Metrics) Route(api, method, operation string) *Route {
	if operation == "" {
		method, operation = "_OTHER", "none"
	}
	return &Route{vec: m.requests, labels: []string{api, operation, method}}
}

// Answered counts an answer.
func (r *Route) Answered(status int, took time.Duration) {
	r.byStatus.of(status, func() prometheus.Observer {
		return r.vec.WithLabelValues(append(r.labels[:len(r.labels):len(r.labels)], strconv.Itoa(status))...)
	}).Observe(took.Seconds())
}

// A sequence keeps a few values by their keys, for reading without a lock. The zero
// sequence is empty.
type sequence[K comparable, V any] struct {
	values atomic.Pointer[[]keyed[K, V]]
	mu     sync.Mutex // held while adding
}

type keyed[K comparable, V any] struct {
	key   K
	value V
}

// of returns the value of a key, and makes it on first use.
func (s *sequence[K, V]) of(key K, fresh func() V) V {
	if v, ok := s.find(key); ok {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.find(key); ok {
		return v
	}
	var all []keyed[K, V]
	if before := s.values.Load(); before != nil {
		all = append(all, *before...)
	}
	v := fresh()
	all = append(all, keyed[K, V]{key, v})
	s.values.Store(&all)
	return v
}

func (s *sequence[K, V]) find(key K) (v V, ok bool) {
	if all := s.values.Load(); all != nil {
		for i := range *all {
			if (*all)[i].key == key {
				return (*all)[i].value, true
			}
		}
	}
	return v, false
}
