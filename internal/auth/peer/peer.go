// Package peer authenticates callers on a Unix socket by the user of their process,
// which the kernel reports. It accepts the server's own user and root.
package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
)

// Strategy is an [auth.Strategy] for administrators. The server must use
// [ConnContext].
type Strategy struct{}

var _ auth.Strategy = Strategy{}

type connKey struct{}

// ConnContext passes the connection to the strategy, as an http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Authenticate implements [auth.Strategy].
func (Strategy) Authenticate(r *http.Request) (secret.Caller, error) {
	conn, ok := r.Context().Value(connKey{}).(*net.UnixConn)
	if !ok {
		return secret.Caller{}, auth.ErrElsewhere
	}
	uid, err := uidOf(conn)
	if err != nil {
		return secret.Caller{}, fmt.Errorf("reading the user of the peer: %w", err)
	}
	if uid != 0 && int(uid) != os.Geteuid() {
		return secret.Caller{}, auth.ErrElsewhere
	}
	return secret.Administrator(fmt.Sprintf("uid %d", uid)), nil
}

// uidOf returns the user of the peer at the time of its connection (SO_PEERCRED of
// unix(7)).
func uidOf(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return 0, fmt.Errorf("%w, %w", err, credErr)
	}
	return cred.Uid, nil
}
