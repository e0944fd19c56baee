package config

import (
	"net"
	"net/url"

	"github.com/strongroom/strongroom/internal/duration"
)

// Audit configures the audit log.
type Audit struct {
	// Retention is the age up to which entries are kept, at least 1d. Older ones are
	// dropped every hour. Default: all are kept.
	Retention duration.Duration `yaml:"retention"`
	// ValueReads selects when values are returned: flushed, after the entry of the read is on
	// disk (the default), or written, after it is written to the journal. The entry is then
	// on disk within 20 ms: a crash of the process loses none, a power failure at most these.
	// Counted reads of agent keys are always flushed, and with state.postgres all reads.
	ValueReads string `yaml:"value_reads"`
	// Anchor keeps the head of the log outside of the state, which detects an old copy put
	// back in its place. Each node has a file of its own.
	Anchor *Anchor `yaml:"anchor"`
	// Stream sends each entry to a collector, at least once and in order. It begins with
	// the oldest entry. No request waits for it. Entries that it has yet to send are not
	// dropped by retention. With state.postgres, one node at a time sends, so all
	// nodes need the same destination, and a file must be on a file system that they share.
	Stream *Stream `yaml:"stream"`
}

// Stream is the destination of audit entries: exactly one of these. Another destination
// gets all entries again.
type Stream struct {
	// File gets each entry as a line of JSON. It is created with mode 0600, and again after
	// it was renamed or removed, as by logrotate.
	File string `yaml:"file"`
	// Syslog is a syslog server.
	Syslog *Syslog `yaml:"syslog"`
	// HTTP is a collector that accepts JSON, such as Vector, Fluent Bit or Loki behind one.
	HTTP *Collector `yaml:"http"`
}

// Syslog is a server for messages of RFC 5424 over TLS (RFC 5425), with octet counting.
// Its protocol has no acknowledgement: entries that the server has received and then loses
// itself are lost.
type Syslog struct {
	// Address is host:port. The usual port is 6514.
	Address string `yaml:"address"`
	// Plain sends over TCP without TLS: only to an address on this machine.
	Plain bool `yaml:"plain"`
	// CAFile holds the PEM certificates that verify the server. Default: those of the
	// system.
	CAFile string `yaml:"ca_file"`
	// Certificate is a PEM file with a certificate to show to the server, and key one with
	// its private key. Default: none is shown.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file. Only its owner and group may read it.
	Key string `yaml:"key"`
}

// Collector is an HTTP server that gets batches of entries by POST. A status of 200 to 299
// acknowledges a batch.
type Collector struct {
	// URL of the collector: https, or http on this machine.
	URL string `yaml:"url"`
	// Format of a batch is ndjson (one object a line) or json (an array). Default ndjson.
	Format string `yaml:"format"`
	// TokenFile has a token for Authorization: Bearer. It is read for each batch. Only its
	// owner and group may read it. Default: none is sent.
	TokenFile string `yaml:"token_file"`
	// CAFile holds the PEM certificates that verify the collector. Default: those of the
	// system.
	CAFile string `yaml:"ca_file"`
	// Certificate is a PEM file with a certificate to show to the collector, and key one
	// with its private key. Default: none is shown.
	Certificate string `yaml:"certificate"`
	// Key is a PEM file. Only its owner and group may read it.
	Key string `yaml:"key"`
}

// paths returns the fields with paths of files.
func (s *Stream) paths() []*string {
	paths := []*string{&s.File}
	if s.Syslog != nil {
		paths = append(paths, &s.Syslog.CAFile, &s.Syslog.Certificate, &s.Syslog.Key)
	}
	if s.HTTP != nil {
		paths = append(paths, &s.HTTP.TokenFile, &s.HTTP.CAFile, &s.HTTP.Certificate, &s.HTTP.Key)
	}
	return paths
}

// Anchor is the destination of the log's head: exactly one of these.
type Anchor struct {
	// File in a directory that the server may write, preferably on another disk. The
	// server compares it with the log when it starts.
	File string `yaml:"file"`
	// Stdout writes the head to standard output for a log collector. Compare it with
	// strongroom audit verify --anchor.
	Stdout bool `yaml:"stdout"`
}

func (a Audit) validate(m *problems, s State) {
	m.bad(a.Retention != 0 && a.Retention < duration.Duration(duration.Day), "audit.retention: must be at least 1d")
	m.bad(!oneOf(a.ValueReads, "flushed", "written"), "audit.value_reads: must be flushed or written")
	m.bad(a.ValueReads == "written" && s.Postgres != nil, "audit.value_reads: must be flushed with state.postgres, where the database writes the entry and flushes it in one step")
	if to := a.Anchor; to != nil {
		m.bad((to.File == "") != to.Stdout, "audit.anchor: must set exactly one of file, stdout")
	}
	a.Stream.validate(m)
}

func (s *Stream) validate(m *problems) {
	if s == nil {
		return
	}
	m.bad(!exactlyOne(s.File != "", s.Syslog != nil, s.HTTP != nil), "audit.stream: must set exactly one of file, syslog, http")
	if l := s.Syslog; l != nil {
		host, _, _ := net.SplitHostPort(l.Address)
		m.bad(!hostPort(l.Address) || host == "", "audit.stream.syslog.address: must be host:port")
		m.bad(l.Plain && l.CAFile+l.Certificate+l.Key != "", "audit.stream.syslog.plain: excludes ca_file, certificate and key")
		m.bad(l.Plain && host != "" && !loopback(l.Address), "audit.stream.syslog.plain: needs an address on this machine, otherwise the entries could be read on the network")
		m.bad((l.Certificate == "") != (l.Key == ""), "audit.stream.syslog.certificate: needs key, and key needs certificate")
	}
	if h := s.HTTP; h != nil {
		m.bad(!collectorURL(h.URL), "audit.stream.http.url: must be https, or http on this machine, without a user or a fragment")
		m.bad(!oneOf(h.Format, "ndjson", "json"), "audit.stream.http.format: must be ndjson or json")
		m.bad((h.Certificate == "") != (h.Key == ""), "audit.stream.http.certificate: needs key, and key needs certificate")
	}
}

// collectorURL reports whether entries and a token can be sent there.
func collectorURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && unforgeable(s) && u.User == nil && u.Fragment == ""
}
