package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

func TestDatabaseIsDescribed(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	url := server.NewDatabase(t)
	mustImport(t, url)
	db := open(t, url)
	about, err := db.Describe(t.Context())
	if err != nil || about.Standbys != "" || db.Plain() || about.Took <= 0 || about.Ahead.Abs() > time.Minute || !strings.HasPrefix(about.Host, "127.0.0.1:") {
		t.Errorf("got %+v, %v", about, err)
	}
	server.Standby(t)
	t.Cleanup(server.Kill) // otherwise the end of the database would wait for the standby
	if about, err := db.Describe(t.Context()); err != nil || about.Standbys == "" {
		t.Errorf("with a standby: %+v, %v", about, err)
	}
}

func TestPlainConnectionsAreFound(t *testing.T) {
	for url, want := range map[string]bool{
		"postgres://u@127.0.0.1/d?sslmode=disable":                 false,
		"postgres://u@localhost/d":                                 false,
		"postgres:///d?host=/run/postgresql":                       false,
		"postgres://u@db.example/d":                                true,
		"postgres://u@db.example/d?sslmode=disable":                true,
		"postgres://u@db.example/d?sslmode=prefer":                 true,
		"postgres://u@db.example/d?sslmode=require":                true,
		"postgres://u@db.example/d?sslmode=verify-ca":              true,
		"postgres://u@db.example/d?sslmode=verify-full":            false,
		"postgres://u@127.0.0.1,db.example/d?sslmode=disable":      true,
		"postgres://u@127.0.0.1,db.example/d?sslmode=verify-full":  false,
		"host=db.example user=u dbname=d sslmode=allow password=p": true,
	} {
		if got, err := postgres.CheckURL(url); err != nil || got != want {
			t.Errorf("%s: %t, %v, want %t", url, got, err, want)
		}
	}
}
