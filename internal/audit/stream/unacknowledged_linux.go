package stream

import (
	"crypto/tls"
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged returns the number of bytes that the peer's machine has not acknowledged
// (SIOCOUTQ, see tcp(7)).
func unacknowledged(c net.Conn) (n int, err error) {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n, errors.Join(err, failed)
}
