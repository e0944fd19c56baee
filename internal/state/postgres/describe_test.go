package postgres_test

import (
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state/postgres"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

func TestWarningsNameTheStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	url := server.NewDatabase(t)
	mustImport(t, url)
	db := open(t, url)
	warnings, err := db.Warnings(t.Context())
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "synchronous standby") {
		t.Errorf("without a standby: %q, %v", warnings, err)
	}
	server.Standby(t)
	t.Cleanup(server.Kill) // otherwise the end of the database would wait for the standby
	if warnings, err := db.Warnings(t.Context()); err != nil || len(warnings) != 0 {
		t.Errorf("with a standby: %q, %v", warnings, err)
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
		"postgres://u@db.example/d?sslmode=verify-full":            false,
		"postgres://u@127.0.0.1,db.example/d?sslmode=disable":      true,
		"postgres://u@127.0.0.1,db.example/d?sslmode=verify-full":  false,
		"host=db.example user=u dbname=d sslmode=allow password=p": true,
	} {
		if got, err := postgres.IsPlain(url); err != nil || got != want {
			t.Errorf("%s: %t, %v, want %t", url, got, err, want)
		}
	}
}
