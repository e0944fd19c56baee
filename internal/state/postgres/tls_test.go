package postgres_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// verified are the parameters of a URL that trusts the file's authority.
func verified(file string) url.Values {
	return url.Values{"sslmode": {"verify-full"}, "sslrootcert": {file}}
}

func TestServersAreAuthenticatedByTLS(t *testing.T) {
	t.Parallel()
	server, authority, other := pgtest.New(t), pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	server.RequireTLS(t, authority)
	plain := server.NewDatabase(t)
	secure := pgtest.WithTLS(plain, "localhost", verified(authority.File))
	mustImport(t, secure)
	db := open(t, secure)
	mustAppend(t, db, first.At, 1)
	if got := server.Exec(t, "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'strongroom'"); got != "t" {
		t.Errorf("all connections use TLS: %s", got)
	}
	invalid := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(invalid, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		url   string
		wants []string
	}{
		"without TLS":          {plain, []string{"refuses the connection", "no encryption"}},
		"another authority":    {pgtest.WithTLS(plain, "localhost", verified(other.File)), []string{"certificate", "unknown authority", "sslrootcert"}},
		"verify-ca of another": {pgtest.WithTLS(plain, "localhost", url.Values{"sslmode": {"verify-ca"}, "sslrootcert": {other.File}}), []string{"certificate", "unknown authority", "sslrootcert"}},
		"another name":         {pgtest.WithTLS(plain, "127.0.0.1", verified(authority.File)), []string{"certificate", "127.0.0.1", "host"}},
		"a missing authority":  {pgtest.WithTLS(plain, "localhost", verified("/missing/ca.pem")), []string{"open /missing/ca.pem: no such file"}},
		"no authority":         {pgtest.WithTLS(plain, "localhost", verified(invalid)), []string{"TLS", "CA"}},
		"a wrong mode":         {pgtest.WithTLS(plain, "localhost", url.Values{"sslmode": {"wrong"}}), []string{"TLS", "sslmode is invalid"}},
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: tc.url})
		wantWords(t, what, err, tc.wants...)
	}
}

// wantWords wants an error with all words, and without the password.
func wantWords(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want an error with %q", what, err, word)
		}
	}
	if strings.Contains(err.Error(), "of-a-test") {
		t.Errorf("%s: the error has the password: %v", what, err)
	}
}

func TestNodesAreAuthenticatedByCertificates(t *testing.T) {
	t.Parallel()
	server, authority, other := pgtest.New(t), pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	server.RequireTLS(t, authority)
	database := server.NewDatabase(t)
	role := nameOf(t, database)
	server.RequireCertificate(t, role)
	with := func(signer *pgtest.Authority, name string) string {
		certificate, key := signer.Issue(t, name)
		parameters := verified(authority.File)
		parameters.Set("sslcert", certificate)
		parameters.Set("sslkey", key)
		u, err := url.Parse(pgtest.WithTLS(database, "localhost", parameters))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role) // without the password
		return u.String()
	}
	mustImport(t, with(authority, role))
	mustAppend(t, open(t, with(authority, role)), first.At, 1)
	for what, tc := range map[string]struct {
		url   string
		wants []string
	}{
		"no certificate":         {pgtest.WithTLS(database, "localhost", verified(authority.File)), []string{"client certificate", "sslcert", "requires a valid client certificate"}},
		"another role's":         {with(authority, "another"), []string{"client certificate", "sslcert", "certificate authentication failed"}},
		"of another authority":   {with(other, role), []string{"client certificate", "sslcert", "unknown certificate authority"}},
		"without its key's file": {with(authority, role) + "&sslkey=", []string{"sslkey"}},
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: tc.url})
		for err != nil && strings.Contains(err.Error(), "failed to write startup message") { // the server's alert was lost
			_, err = postgres.Open(t.Context(), postgres.Options{URL: tc.url})
		}
		wantWords(t, what, err, tc.wants...)
		if errors.Is(err, state.ErrAway) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
