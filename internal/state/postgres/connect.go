package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/strongroom/strongroom/internal/state"
)

const (
	schemaVersion = 1
	oldestServer  = 15
	dialTimeout   = 5 * time.Second // for each host, if the URL has none
)

// parse returns the settings of a URL. Its errors have no part of the URL, which has a
// password.
func parse(url string) (*pgx.ConnConfig, error) {
	if url == "" {
		return nil, errors.New("the database's URL is empty")
	}
	config, err := pgx.ParseConfig(url)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("the database's URL names a file that cannot be read: %w", file)
	}
	if wrong := wrongTLS(err); wrong != nil {
		return nil, fmt.Errorf("the TLS parameters of the database's URL cannot be used (sslmode, sslrootcert, sslcert, sslkey): %w", wrong)
	}
	if err != nil {
		return nil, errors.New("the database's URL cannot be parsed: it must look like postgres://USER:PASSWORD@HOST:PORT/DATABASE, " +
			"with special characters of the password percent-encoded, and its parameters must be known")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "strongroom"
	}
	config.DialFunc = dialer.DialContext
	config.ValidateConnect = validate
	// Only the connections of naming have named statements.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return config, nil
}

// wrongTLS returns why the TLS parameters of a URL cannot be used, or nil for any other error.
// The reason quotes nothing from the URL, unlike the error.
func wrongTLS(err error) error {
	reason := errors.Unwrap(err)
	if reason == nil || !strings.HasSuffix(err.Error(), ": failed to configure TLS ("+reason.Error()+")") {
		return nil
	}
	return reason
}

// CheckURL returns what is wrong with a URL, and otherwise whether it is plain: see
// [DB.Plain]. It does not connect.
func CheckURL(url string) (plain bool, err error) {
	config, err := parse(url)
	if err != nil {
		return false, err
	}
	return isPlain(config), nil
}

// A refusal says why a database must not be used, until an administrator changes it.
type refusal string

func (r refusal) Error() string { return string(r) }

// connect opens a connection to the primary. Errors: refusals, state.ErrAway.
func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	var r refusal
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return conn, nil
	case errors.As(err, &r):
		return nil, r
	case isUnverified(err):
		return nil, refusal("the database server's certificate is not accepted: check sslrootcert, and the host in the URL, which the certificate must have: " + reason(err))
	case isUncertified(err):
		return nil, refusal("the database server refuses this node's client certificate, or requires one: check sslcert and sslkey in the URL: " + reason(err))
	case errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "28") || pg.Code == noDatabase):
		return nil, refusal("the database server refuses the connection: " + pg.Message)
	}
	return nil, away(err)
}

// validate refuses servers that are read-only, that lose acknowledged changes in a crash,
// or that are too old. With several hosts the next one is tried.
func validate(ctx context.Context, conn *pgconn.PgConn) error {
	const settings = `select current_setting('server_version_num'), current_setting('transaction_read_only'), current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('synchronous_commit'), current_setting('default_transaction_isolation')`
	results, err := conn.Exec(ctx, settings).ReadAll()
	if err != nil {
		return err
	}
	row := results[0].Rows[0]
	at := func(i int) string { return string(row[i]) }
	version, err := strconv.Atoi(at(0))
	switch {
	case err != nil || version < oldestServer*10_000:
		return refusal(fmt.Sprintf("the database server's version is %s: use PostgreSQL %d or newer", at(0), oldestServer))
	case at(1) != "off":
		return errors.New("the server is read-only, so it is not the primary")
	case at(2) != "on":
		return refusal("the database server has fsync = off and can lose everything in a crash: set fsync = on")
	case at(3) != "on":
		return refusal("the database server has full_page_writes = off and can lose everything in a crash: set full_page_writes = on")
	case at(4) != "on" && at(4) != "remote_apply":
		return refusal("synchronous_commit is " + at(4) + " for this user and database, so a crash or failover loses acknowledged changes: set synchronous_commit = on")
	case at(5) != "read committed":
		return refusal("default_transaction_isolation is " + at(5) + " for this user and database: set it to read committed")
	}
	return nil
}

// isUnverified reports whether the certificate of a server was refused.
func isUnverified(err error) bool {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid)
}

// certificateAlert matches a server's alert about the client's certificate. crypto/tls has no
// exported type for alerts.
var certificateAlert = regexp.MustCompile(`remote error: tls: [a-z ]*certificate`)

// isUncertified reports whether a server refused the certificate of this node, or requires
// one. Rarely the server's alert is lost with the connection.
func isUncertified(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(pg.Code, "28") && strings.Contains(pg.Message, "certificate") || certificateAlert.MatchString(err.Error())
}

// Plain reports whether one of the hosts may be asked over a network without TLS, or
// without a check of its certificate and name.
func (d *DB) Plain() bool { return isPlain(d.config) }

func isPlain(config *pgx.ConnConfig) bool {
	isLocal := func(host string) bool {
		ip := net.ParseIP(host)
		return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
	}
	isPlain := func(host string, t *tls.Config) bool {
		return !isLocal(host) && (t == nil || t.InsecureSkipVerify) // also verify-ca skips the name
	}
	return isPlain(config.Host, config.TLSConfig) ||
		slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return isPlain(f.Host, f.TLSConfig) })
}

// An unusable state is one that this node must not use any more. It is a state.ErrDiverged,
// so a running node ends.
type unusable string

func (u unusable) Error() string { return string(u) }
func (unusable) Unwrap() error   { return state.ErrDiverged }

// moved is added to the version of the tables when the state moves to a file. Programs that
// do not know this refuse so high a version, too.
const moved = 1_000_000

// mayUse returns why this program must not use tables of this version.
func (o Options) mayUse(version int) error {
	if version >= moved && !o.Moved {
		return fmt.Errorf("%w: set state.path to that file; if the move was interrupted, repeat it with strongroom migrate state --to file", ErrMoved)
	}
	if version %= moved; version > schemaVersion {
		return unusable(fmt.Sprintf("the database's schema has version %d, and this program knows only %d: use a newer Strongroom on this node", version, schemaVersion))
	}
	return nil
}

// identityOf returns which state the database has. Errors: ErrNoState, state.ErrDiverged,
// state.ErrAway.
func (o Options) identityOf(ctx context.Context, conn *pgx.Conn) (is identity, err error) {
	var exists bool
	if err := conn.QueryRow(ctx, "select to_regclass('strongroom.state') is not null", unnamed).Scan(&exists); err != nil {
		return is, away(err)
	}
	if !exists {
		return is, ErrNoState
	}
	version, lineage := 0, []byte(nil)
	err = conn.QueryRow(ctx, "select version, id, lineage from strongroom.state", unnamed).Scan(&version, &is.id, &lineage)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return is, ErrNoState
	case err != nil:
		return is, away(err)
	}
	copy(is.lineage[:], lineage)
	return is, o.mayUse(version)
}

// away makes an error of the connection one of this package: state.ErrAway, with the
// reason in one line.
func away(err error) error {
	if errors.Is(err, state.ErrAway) || errors.Is(err, state.ErrDiverged) {
		return err
	}
	return fmt.Errorf("%w: %s", state.ErrAway, reason(err))
}

// An answer is an error within a transaction that does not come from the database, but from
// a callback or a comparison.
type answer struct{ error }

// databases makes errors of the database and of its connection state.ErrAway, and returns
// answers as they are.
func databases(err error) error {
	var a answer
	switch {
	case err == nil:
		return nil
	case errors.As(err, &a):
		return a.error
	}
	return away(err)
}

// reason returns an error as one line. Errors of pgconn never have the password. They have
// a line for each attempt, and the same one twice if TLS is optional.
func reason(err error) string {
	about, attempts, _ := strings.Cut(err.Error(), "\n")
	var lines []string
	for line := range strings.Lines(attempts) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(about + " " + strings.Join(slices.Compact(lines), "; "))
}
