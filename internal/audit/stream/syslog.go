package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

// SyslogOptions configure [Syslog].
type SyslogOptions struct {
	Address string // host:port
	// Plain sends over TCP without TLS.
	Plain bool
	TLS   TLS
}

// Syslog returns a sink that sends each entry as a message of RFC 5424 over TLS (RFC 5425)
// or plain TCP, with octet counting (RFC 6587, section 3.4.1). The message is the entry's
// line of JSON.
//
// Syslog has no acknowledgements. A batch counts as delivered once the receiver's machine
// has acknowledged its bytes. If the connection breaks, a [*LostError] causes the entries
// of the last minutes to be sent again. Entries that a receiver has read and then loses
// itself are lost.
func Syslog(o SyslogOptions) (Sink, error) {
	s := &syslog{address: o.Address, plain: o.Plain}
	if !o.Plain {
		c, err := o.TLS.config()
		if err != nil {
			return nil, err
		}
		s.secured = c
	}
	s.hostname = hostname()
	return s, nil
}

type syslog struct {
	address  string
	plain    bool
	secured  *tls.Config
	hostname string
	conn     *connection // nil while there is none
}

// hostname returns the host's name in the form of RFC 5424, section 6.2.4.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "-" // unknown
	}
	return name
}

// Send implements [Sink].
func (s *syslog) Send(ctx context.Context, entries []audit.Entry) error {
	messages, err := s.encode(entries)
	if err != nil {
		return err
	}
	if s.conn == nil {
		if s.conn, err = s.dial(ctx); err != nil {
			return err
		}
	}
	if err := s.conn.deliver(ctx, messages); err != nil {
		at := s.conn.endedAt()
		return &LostError{at, errors.Join(err, s.Close())}
	}
	return nil
}

// Close implements [Sink].
func (s *syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	<-s.conn.ended
	s.conn = nil
	return err
}

// The priority of a message is eight times its facility plus its severity (RFC 5424,
// section 6.2.1).
const (
	logAudit = 13
	warning  = 4
	notice   = 5
)

// timestamp has the microseconds that RFC 5424, section 6.2.3, allows.
const timestamp = "2006-01-02T15:04:05.000000Z"

func (s *syslog) encode(entries []audit.Entry) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		severity := notice
		if e.Event.Outcome == secret.Denied {
			severity = warning
		}
		message := fmt.Sprintf("<%d>1 %s %s strongroom %d audit - %s",
			8*logAudit+severity, e.Event.Time.UTC().Format(timestamp), s.hostname, os.Getpid(), line)
		fmt.Fprintf(&b, "%d %s", len(message), message)
	}
	return b.Bytes(), nil
}

// dialWithin limits connecting and the TLS handshake.
const dialWithin = 10 * time.Second

func (s *syslog) dial(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if !s.plain {
		dialer = &tls.Dialer{Config: s.secured}
	}
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, ended: make(chan struct{})}
	go c.watch()
	return c, nil
}

// A connection notices its end also while nothing is sent.
type connection struct {
	net.Conn
	ended chan struct{} // closed when the peer has ended the connection
	at    time.Time     // set before ended is closed
}

var errEnded = errors.New("the syslog server has closed the connection")

// watch reads until the end. Syslog servers send nothing.
func (c *connection) watch() {
	_, _ = io.Copy(io.Discard, c.Conn)
	c.at = time.Now()
	close(c.ended)
}

func (c *connection) endedAt() time.Time {
	select {
	case <-c.ended:
		return c.at
	default:
		return time.Now()
	}
}

// deliver writes the messages and waits until the peer's machine has acknowledged them.
func (c *connection) deliver(ctx context.Context, messages []byte) error {
	select {
	case <-c.ended:
		return errEnded
	default:
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetWriteDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Now()) })
	defer stop()
	if _, err := c.Write(messages); err != nil {
		return err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if n, err := unacknowledged(c.Conn); err != nil || n == 0 {
			return err
		}
		select {
		case <-c.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("the syslog server does not acknowledge: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}
