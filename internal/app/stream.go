package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
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

// streamDuty is the duty of the node that sends audit entries.
const streamDuty = "audit stream"

// claimAgain is the interval at which a node claims a duty that another one has.
const claimAgain = 10 * time.Second

// A streaming sends audit entries while this process has the duty.
type streaming struct {
	resources *resources
	config    *config.Stream
	log       *slog.Logger
	now       atomic.Pointer[stream.Stream] // nil while another node sends

	stop context.CancelFunc
	done sync.WaitGroup
}

// startStream begins to send audit entries, or to wait for the duty. Only a server does.
func (r *resources) startStream(c *config.Stream, log *slog.Logger) error {
	if c == nil {
		return nil
	}
	s := &streaming{resources: r, config: c, log: log}
	err := checkStream(c)
	var lease *admin.Lease
	ctx, stop := context.WithCancel(context.Background())
	if err == nil {
		lease, err = s.begin(ctx)
	}
	if err != nil {
		stop()
		return err
	}
	r.stream, s.stop = s, stop
	s.done.Go(func() { s.run(ctx, lease) })
	return nil
}

// begin starts the stream if this process gets the duty; otherwise the lease is nil.
func (s *streaming) begin(ctx context.Context) (*admin.Lease, error) {
	lease, err := admin.Take(ctx, s.resources.duties(), streamDuty)
	if lease == nil {
		return nil, err
	}
	sink, err := openSink(s.config)
	if err == nil {
		var now *stream.Stream
		if now, err = stream.Start(s.resources.audit, destination(s.config), sink, s.log); err == nil {
			s.now.Store(now)
			return lease, nil
		}
	}
	lease.Release()
	return nil, err
}

func (s *streaming) run(ctx context.Context, lease *admin.Lease) {
	for {
		if lease != nil {
			select {
			case <-lease.Lost():
			case <-ctx.Done():
			}
			_ = s.now.Swap(nil).Close()
			lease.Release()
		}
		select {
		case <-time.After(claimAgain):
		case <-ctx.Done():
			return
		}
		var err error
		if lease, err = s.begin(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("claiming the stream of audit entries", "error", err)
		}
	}
}

// Close sends the remaining entries, if this process has the duty.
func (s *streaming) Close() error {
	s.stop()
	s.done.Wait()
	return nil
}

// sending returns the stream, nil if none is configured or another node sends.
func (r *resources) sending() *stream.Stream {
	if r.stream == nil {
		return nil
	}
	return r.stream.now.Load()
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

// streamed describes the stream for administrators, nil if this process sends none.
func (r *resources) streamed() *strongroom.Stream {
	sending := r.sending()
	if sending == nil {
		return nil
	}
	now := sending.Status()
	out := &strongroom.Stream{Destination: now.Destination, Delivered: now.Delivered, Oldest: sending.Oldest()}
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
