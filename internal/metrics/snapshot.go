package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Snapshot has the values that a scrape asks for. Zero times stand for unknown ones and
// have no series.
type Snapshot struct {
	StateBytes, DiskFreeBytes, DiskBytes int64
	Reserve                              bool // is allocated
	JournalUsed, JournalBytes            int64
	LastCheckpoint                       time.Time
	Database                             Database

	AuditHead      uint64 // number of the last entry
	AuditLast      time.Time
	AuditSound     bool // the end of the chain is authentic
	AuditUnwritten uint64
	Anchored       bool // an anchor is configured
	AnchorWorks    bool
	AnchorTime     time.Time
	AnchorHead     uint64
	Stream         Stream

	Resealing    bool
	ResealedRows int
	SealingKeys  int

	Keys                     []IssuedKeys
	FileKeys, FileKeysEnding int       // in the keys files
	Certificate              time.Time // when the chain expires

	ConfigWorks bool      // the files are in force
	ConfigTime  time.Time // since when
	NeedRestart int

	LastBackup time.Time
	Stores     []Store

	RequestBytes int64 // reserved memory
	RequestLimit int64
	BytesRefused uint64
	ConnsEvicted uint64
	LinesDropped uint64
}

// A Database is the database that nodes share, as this node knows it.
type Database struct {
	On       bool // this is a node; otherwise it has no series
	Answered time.Time
	Behind   uint64 // change sets that this node has not applied
	// Conflicts counts commits that ran again, and Repeated appends with an outcome that was
	// unknown at first.
	Conflicts, Repeated uint64
}

// A Stream is the state of the stream of audit entries.
type Stream struct {
	On             bool // configured; otherwise it has no series
	Up             bool // the latest attempt succeeded
	Delivered      uint64
	Waiting        uint64
	Oldest         time.Time // of the waiting entries
	Sent, Failures uint64
}

// IssuedKeys counts issued keys.
type IssuedKeys struct {
	Kind         string
	Live, Ending int
}

// A Store is the health of a store, by its name in the config.
type Store struct {
	Name string
	Up   bool
	Took time.Duration // of the last check
}

// snapshots collects a Snapshot for each scrape.
type snapshots struct {
	now   func() Snapshot
	build Build
}

var _ prometheus.Collector = snapshots{}

// Describe implements [prometheus.Collector].
func (s snapshots) Describe(to chan<- *prometheus.Desc) {
	for _, v := range values {
		to <- v.desc
	}
	for _, d := range []*prometheus.Desc{buildInfo, issuedKeys, endingKeys, storeUp, storeTime} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (s snapshots) Collect(to chan<- prometheus.Metric) {
	now := s.now()
	for _, v := range values {
		if value, known := v.of(&now); known {
			to <- prometheus.MustNewConstMetric(v.desc, v.kind, value)
		}
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(buildInfo, 1, s.build.Version, s.build.GoVersion, strconv.FormatBool(s.build.FIPS))
	for _, k := range now.Keys {
		gauge(issuedKeys, float64(k.Live), k.Kind)
		gauge(endingKeys, float64(k.Ending), k.Kind)
	}
	for _, st := range now.Stores {
		gauge(storeUp, truth(st.Up), st.Name)
		gauge(storeTime, st.Took.Seconds(), st.Name)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
