package postgres

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long a peer may leave data or probes unacknowledged. A server that is
// busy still acknowledges them, so this finds dead hosts and cut networks only.
const silence = 5 * time.Second

var dialer = net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
	Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
		})
		if err == nil && failed != unix.EOPNOTSUPP { // a Unix socket needs no timeout
			err = failed
		}
		return err
	},
}
