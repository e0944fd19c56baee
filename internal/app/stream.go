package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/audit/stream"
	"github.com/strongroom/strongroom/internal/config"
)

// destination returns where audit entries go. The path of a URL can be a credential, so it
// is not part of the name.
func destination(s *config.Stream) stream.Destination {
	switch {
	case s.Syslog != nil:
		name := "syslog " + s.Syslog.Address
		return stream.Destination{ID: name, Name: name}
	case s.HTTP != nil:
		to, _ := url.Parse(s.HTTP.URL) // the config was validated
		return stream.Destination{ID: "http " + s.HTTP.URL, Name: "http " + to.Host}
	}
	return stream.Destination{ID: "file " + s.File, Name: "file " + s.File}
}

// openSink reads the files that the config names, and connects later.
func openSink(s *config.Stream) (stream.Sink, error) {
	switch {
	case s.Syslog != nil:
		l := s.Syslog
		sink, err := stream.Syslog(stream.SyslogOptions{
			Address: l.Address, Plain: l.Plain, TLS: stream.TLS{CAFile: l.CAFile, Certificate: l.Certificate, Key: l.Key},
		})
		if err != nil {
			return nil, fmt.Errorf("audit.stream.syslog.%w", err)
		}
		return sink, nil
	case s.HTTP != nil:
		h := s.HTTP
		sink, err := stream.HTTP(stream.HTTPOptions{
			URL: h.URL, Array: h.Format == "json", TokenFile: h.TokenFile,
			TLS: stream.TLS{CAFile: h.CAFile, Certificate: h.Certificate, Key: h.Key},
		})
		if err != nil {
			return nil, fmt.Errorf("audit.stream.http.%w", err)
		}
		return sink, nil
	}
	return stream.File(s.File), nil
}

// startStream begins to send audit entries. Only a server does.
func (r *resources) startStream(s *config.Stream, log *slog.Logger) error {
	if s == nil {
		return nil
	}
	sink, err := openSink(s)
	if err != nil {
		return err
	}
	r.stream, err = stream.Start(r.audit, destination(s), sink, log)
	return err
}

// checkStream checks the files that the config names.
func checkStream(s *config.Stream) error {
	if s == nil {
		return nil
	}
	sink, err := openSink(s)
	if err != nil {
		return err
	}
	return sink.Close()
}

// streamed describes the stream for administrators, nil without one.
func (r *resources) streamed() *strongroom.Stream {
	if r.stream == nil {
		return nil
	}
	now := r.stream.Status()
	out := &strongroom.Stream{Destination: now.Destination, Delivered: now.Delivered, Oldest: r.stream.Oldest()}
	if head, err := r.audit.Tail(1); err == nil && len(head) > 0 {
		out.Waiting = head[0].Seq - min(now.Delivered, head[0].Seq)
	}
	if now.Problem != nil {
		out.Problem = now.Problem.Error()
	}
	return out
}

// waitsLong is the age of an entry that waits for delivery from which there is a warning.
const waitsLong = time.Minute

// streamFindings returns a finding while entries cannot be delivered.
func (r *resources) streamFindings() []admin.Finding {
	s := r.streamed()
	switch {
	case s == nil:
		return nil
	case s.Problem == "" && (s.Oldest.IsZero() || time.Since(s.Oldest) < waitsLong):
		return []admin.Finding{{About: "audit stream", OK: true, Text: fmt.Sprintf("entry %d is delivered to %s", s.Delivered, s.Destination)}}
	}
	return []admin.Finding{{About: "audit stream", OK: true, Warning: true, Text: fmt.Sprintf(
		"%d entries are not delivered to %s: %s; they are kept until it has them", s.Waiting, s.Destination,
		cmp.Or(s.Problem, "it is slower than the log grows"))}}
}
