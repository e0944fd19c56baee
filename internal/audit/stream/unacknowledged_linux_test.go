package stream_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/audit/stream"
)

// A server that reads nothing acknowledges no more than its machine can keep: here a few
// kilobytes. The sender's machine accepts the whole batch.
func TestSyslogWaitsForTheAcknowledgement(t *testing.T) {
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return errors.Join(err, failed)
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	sink, err := stream.Syslog(stream.SyslogOptions{Address: l.Addr().String(), Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err = sink.Send(ctx, mustEntries(t, 256))
	if _, ok := errors.AsType[*stream.LostError](err); !ok {
		t.Errorf("got %v, want a lost connection", err)
	}
}
