package app

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor notifies systemd when the server is ready, reloads or stops
// (sd_notify(3)). Without NOTIFY_SOCKET in the environment it does nothing.
type supervisor struct{ socket string }

func newSupervisor() supervisor { return supervisor{os.Getenv("NOTIFY_SOCKET")} }

func (s supervisor) ready() error    { return s.send("READY=1") }
func (s supervisor) stopping() error { return s.send("STOPPING=1") }

// reloading must be followed by ready. The time lets systemd tell this reload from an
// earlier one (Type=notify-reload).
func (s supervisor) reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return s.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", time.Duration(now.Nano()).Microseconds()))
}

// send sends one datagram. Package net resolves a name that begins with @ in the abstract
// namespace.
func (s supervisor) send(message string) error {
	if s.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(message))
		_ = conn.Close()
	}
	if err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}
