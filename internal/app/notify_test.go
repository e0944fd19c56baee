package app

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemdIsNotified plays systemd at the socket. The tests of the packages start the
// server from a real one.
func TestSystemdIsNotified(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@strongroom-notify-" + t.Name()} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		t.Setenv("NOTIFY_SOCKET", name)
		s := newSupervisor()
		for _, tc := range []struct {
			tell func() error
			want string
		}{
			{s.ready, "READY=1"},
			{s.reloading, "RELOADING=1\nMONOTONIC_USEC="},
			{s.stopping, "STOPPING=1"},
		} {
			if err := tc.tell(); err != nil {
				t.Fatal(err)
			}
			message := make([]byte, 100)
			n, err := conn.Read(message)
			if got := string(message[:n]); err != nil || !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s: got %q (%v), want %q", name, got, err, tc.want)
			}
		}
	}
}

func TestNothingIsSentWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := newSupervisor().ready(); err != nil {
		t.Error(err)
	}
}

func TestUnreachableSystemdIsReported(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nothing"))
	if err := newSupervisor().ready(); err == nil || !strings.Contains(err.Error(), "notifying systemd") {
		t.Errorf("got %v", err)
	}
}
