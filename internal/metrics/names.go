package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of an authentication.
const (
	AuthAccepted    = "accepted"
	AuthMissing     = "missing"     // no credential
	AuthRejected    = "rejected"    // a credential that is not valid
	AuthUnavailable = "unavailable" // it could not be checked
)

// Limits that refuse requests. The first three are fields under limits in the config.
const (
	LimitRequests = "requests"
	LimitDenials  = "denials"
	LimitFailures = "failures"
)

// Outcomes of a commit.
const (
	CommitDone   = "done"
	CommitFull   = "full"
	CommitFailed = "failed"
)

var (
	limits         = []string{LimitRequests, LimitDenials, LimitFailures}
	commitOutcomes = []string{CommitDone, CommitFull, CommitFailed}

	// durations are the upper bounds of buckets in seconds. A masked read takes a quarter
	// of a millisecond.
	durations = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// batches are numbers of changes. state commits at most 256 at once.
	batches = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// newSeries declares the series that are counted as they happen. Their names follow the
// conventions of Prometheus; the labels http_* those of OpenTelemetry.
func newSeries() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &Metrics{
		registry: prometheus.NewRegistry(),
		known:    map[attempt]prometheus.Counter{},
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_server_request_duration_seconds", Buckets: durations,
			Help: "Time from a request's headers until its answer was written. The operation is an id of the API's document; none stands for requests without one.",
		}, []string{"api", "operation", "http_request_method", "http_response_status_code"}),
		authentications: counter("strongroom_authentications_total",
			"Authentications by strategy of the config (empty if none has claimed the credential, and for sessions of the console) and outcome.", "strategy", "outcome"),
		attempts: counter("strongroom_attempts_total",
			"Attempts on secrets by action and outcome. Value reads have the action reveal.", "action", "outcome"),
		limited: counter("strongroom_limited_requests_total",
			"Requests that a rate limit has refused, by its field under limits in the config.", "limit"),
		commits: counter("strongroom_commits_total", "Commits by outcome. Those of a node are appended to the database.", "outcome"),
		commitTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "strongroom_commit_duration_seconds", Buckets: durations,
			Help: "Time of a commit with its flush, or on a node with its append to the database. Audit entries are written by commits, too.",
		}),
		commitChanges: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "strongroom_commit_changes", Buckets: batches, Help: "Changes that shared a commit.",
		}),
		queryTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "strongroom_database_query_duration_seconds", Buckets: durations,
			Help: "Time of an answered query for the last change in the database. Reads wait for one, which they may share with others.",
		}),
	}
}

// A value is a series without labels that a scrape reads from a Snapshot.
type value struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*Snapshot) (v float64, known bool)
}

func gauge(name, help string, of func(*Snapshot) float64) value {
	return value{desc(name, help), prometheus.GaugeValue, func(s *Snapshot) (float64, bool) { return of(s), true }}
}

func total(name, help string, of func(*Snapshot) uint64) value {
	return value{desc(name, help), prometheus.CounterValue, func(s *Snapshot) (float64, bool) { return float64(of(s)), true }}
}

// moment is a time in seconds since 1970. It has no series while the time is unknown.
func moment(name, help string, of func(*Snapshot) time.Time) value {
	return value{desc(name, help), prometheus.GaugeValue, func(s *Snapshot) (float64, bool) {
		t := of(s)
		return float64(t.UnixMilli()) / 1000, !t.IsZero()
	}}
}

// anchored is a value that exists only with an anchor.
func anchored(v value) value { return v.where(func(s *Snapshot) bool { return s.Anchored }) }

// streamed is a value that exists only with a stream.
func streamed(v value) value { return v.where(func(s *Snapshot) bool { return s.Stream.On }) }

// shared is a value that exists only on a node.
func shared(v value) value { return v.where(func(s *Snapshot) bool { return s.Database.On }) }

// where returns a value that exists only under a condition.
func (v value) where(holds func(*Snapshot) bool) value {
	of := v.of
	v.of = func(s *Snapshot) (float64, bool) {
		f, known := of(s)
		return f, known && holds(s)
	}
	return v
}

// age is the time since a moment in seconds, 0 while there is none.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, time.Since(t).Seconds())
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Series with labels that a scrape reads from a Snapshot.
var (
	buildInfo  = desc("strongroom_build_info", "1, with the version of the program.", "version", "go_version", "fips")
	issuedKeys = desc("strongroom_issued_keys", "Issued keys that work now, by kind.", "kind")
	endingKeys = desc("strongroom_issued_keys_expiring", "Issued keys that work now and expire within 7 days, by kind.", "kind")
	storeUp    = desc("strongroom_store_up", "1 if the last check of the store succeeded. Stores are checked every 10 seconds.", "store")
	storeTime  = desc("strongroom_store_check_seconds", "Time that the last check of the store took.", "store")
)

// values are the series without labels that a scrape reads from a Snapshot.
var values = []value{
	gauge("strongroom_state_bytes", "Size of the state file, or of a node's cache.", func(s *Snapshot) float64 { return float64(s.StateBytes) }),
	gauge("strongroom_disk_free_bytes", "Free space for this process on the disk of the state file or cache.", func(s *Snapshot) float64 { return float64(s.DiskFreeBytes) }),
	gauge("strongroom_disk_bytes", "Size of the disk of the state file or cache.", func(s *Snapshot) float64 { return float64(s.DiskBytes) }),
	gauge("strongroom_disk_reserve", "1 while the space reserved for audit entries is allocated, 0 while a full disk uses it and changes are refused.", func(s *Snapshot) float64 { return truth(s.Reserve) }),
	gauge("strongroom_journal_used_bytes", "Used part of the journal's current file at the last commit, or on a node the size of the changes since the last checkpoint. A checkpoint begins at half.", func(s *Snapshot) float64 { return float64(s.JournalUsed) }),
	gauge("strongroom_journal_bytes", "Size of each of the journal's two files, or on a node the limit of the changes between two checkpoints.", func(s *Snapshot) float64 { return float64(s.JournalBytes) }),
	moment("strongroom_checkpoint_timestamp_seconds", "When the last checkpoint ended, which moves changes into the state file or cache, or when the process began. There is one every 30 seconds.", func(s *Snapshot) time.Time { return s.LastCheckpoint }),

	shared(moment("strongroom_database_last_answer_timestamp_seconds", "When the database last answered this node. It is asked at least once a second.", func(s *Snapshot) time.Time { return s.Database.Answered })),
	shared(gauge("strongroom_database_changes_behind", "Change sets that the database had in its last answer and this node has not applied.", func(s *Snapshot) float64 { return float64(s.Database.Behind) })),
	shared(total("strongroom_database_conflicts_total", "Commits of this node that ran again because another node was first.", func(s *Snapshot) uint64 { return s.Database.Conflicts })),
	shared(total("strongroom_database_repeated_appends_total", "Appends that were repeated because the database had not reported their outcome. Each happens at most once.", func(s *Snapshot) uint64 { return s.Database.Repeated })),

	gauge("strongroom_audit_head", "Number of the last audit entry.", func(s *Snapshot) float64 { return float64(s.AuditHead) }),
	moment("strongroom_audit_last_entry_timestamp_seconds", "Time of the last audit entry.", func(s *Snapshot) time.Time { return s.AuditLast }),
	gauge("strongroom_audit_sound", "1 if the end of the audit log is authentic. While it is 0, no request is answered.", func(s *Snapshot) float64 { return truth(s.AuditSound) }),
	total("strongroom_audit_failures_total", "Failed attempts to write audit entries.", func(s *Snapshot) uint64 { return s.AuditUnwritten }),
	anchored(gauge("strongroom_audit_anchor_up", "1 if the last attempt to write the anchor succeeded.", func(s *Snapshot) float64 { return truth(s.AnchorWorks) })),
	anchored(gauge("strongroom_audit_anchor_head", "Number of the last anchored audit entry.", func(s *Snapshot) float64 { return float64(s.AnchorHead) })),
	moment("strongroom_audit_anchor_timestamp_seconds", "Time of the last anchor. It is written when there are new entries.", func(s *Snapshot) time.Time { return s.AnchorTime }),
	streamed(gauge("strongroom_audit_stream_up", "1 if the last attempt to send audit entries to the collector succeeded.", func(s *Snapshot) float64 { return truth(s.Stream.Up) })),
	streamed(gauge("strongroom_audit_stream_head", "Number of the last audit entry that the collector has.", func(s *Snapshot) float64 { return float64(s.Stream.Delivered) })),
	streamed(gauge("strongroom_audit_stream_waiting", "Audit entries that wait for delivery to the collector.", func(s *Snapshot) float64 { return float64(s.Stream.Waiting) })),
	streamed(gauge("strongroom_audit_stream_lag_seconds", "Age of the oldest audit entry that waits for delivery to the collector, 0 without one.", func(s *Snapshot) float64 { return age(s.Stream.Oldest) })),
	streamed(total("strongroom_audit_stream_sent_total", "Audit entries sent to the collector, those sent again included.", func(s *Snapshot) uint64 { return s.Stream.Sent })),
	streamed(total("strongroom_audit_stream_failures_total", "Failed attempts to send audit entries to the collector.", func(s *Snapshot) uint64 { return s.Stream.Failures })),

	gauge("strongroom_resealing", "1 while records are resealed with a new sealing key.", func(s *Snapshot) float64 { return truth(s.Resealing) }),
	gauge("strongroom_resealed_rows", "Rows that the current or last reseal has checked.", func(s *Snapshot) float64 { return float64(s.ResealedRows) }),
	gauge("strongroom_sealing_keys", "Sealing keys in the keyring.", func(s *Snapshot) float64 { return float64(s.SealingKeys) }),

	gauge("strongroom_file_keys", "API keys in the keys files that work now.", func(s *Snapshot) float64 { return float64(s.FileKeys) }),
	gauge("strongroom_file_keys_expiring", "API keys in the keys files that work now and expire within 7 days.", func(s *Snapshot) float64 { return float64(s.FileKeysEnding) }),
	moment("strongroom_certificate_expiry_timestamp_seconds", "When the first certificate of the chain expires.", func(s *Snapshot) time.Time { return s.Certificate }),
	gauge("strongroom_config_last_reload_successful", "1 if the files of the config are in force, 0 if they are broken.", func(s *Snapshot) float64 { return truth(s.ConfigWorks) }),
	moment("strongroom_config_last_reload_success_timestamp_seconds", "When the config in force was loaded.", func(s *Snapshot) time.Time { return s.ConfigTime }),
	gauge("strongroom_config_restart_fields", "Changed fields of the config that wait for a restart.", func(s *Snapshot) float64 { return float64(s.NeedRestart) }),
	moment("strongroom_backup_last_success_timestamp_seconds", "When the last backup was taken. Only the last 200,000 audit entries are searched for it at the start.", func(s *Snapshot) time.Time { return s.LastBackup }),

	gauge("strongroom_request_memory_bytes", "Memory reserved by requests in progress.", func(s *Snapshot) float64 { return float64(s.RequestBytes) }),
	gauge("strongroom_request_memory_limit_bytes", "limits.memory_bytes of the config.", func(s *Snapshot) float64 { return float64(s.RequestLimit) }),
	total("strongroom_request_memory_refusals_total", "Requests refused because they needed more memory than was free.", func(s *Snapshot) uint64 { return s.BytesRefused }),
	total("strongroom_connections_evicted_total", "Connections closed because listen.connections was reached.", func(s *Snapshot) uint64 { return s.ConnsEvicted }),
	total("strongroom_log_lines_dropped_total", "Log lines that were dropped, because they were not read in time or could not be written.", func(s *Snapshot) uint64 { return s.LinesDropped }),
}
