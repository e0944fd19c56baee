//go:build !linux

package stream

import "net"

// unacknowledged returns 0: only Linux tells.
func unacknowledged(net.Conn) (int, error) { return 0, nil }
