package postgres_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// The database keeps the plans of named statements. A plan made for a small table must be
// good for a large one.
func TestRecordsAreReadByTheIndexWithOnePlan(t *testing.T) {
	url := newState(t)
	db := open(t, url)
	at := mustAppend(t, db, first.At, 60)
	execute(t, url, "analyze strongroom.changes") // as autovacuum does after 50
	_ = db.Close()
	before := scans(t, url)
	db = open(t, url)
	nothing := func(state.SharedRecord) error { return nil }
	for range 10 {
		wantError(t, "Since", db.Since(t.Context(), at.Seq-1, nothing), nil)
		wantError(t, "Lock", db.Lock(t.Context(), at.Seq-1, nothing), nil)
		at = mustAppend(t, db, at, 1)
	}
	plans, err := db.PlansPerUse(t.Context())
	wantError(t, "counting the plans", err, nil)
	if plans != 0 {
		t.Errorf("statements were planned %d times for single uses", plans)
	}
	_ = db.Close()
	if got := scans(t, url) - before; got != 0 {
		t.Errorf("the whole log was read %d times", got)
	}
}

// scans returns how often statements have read the whole log, without its index.
func scans(t *testing.T, url string) int {
	t.Helper()
	for { // connections report theirs when they end
		out := pgtest.Start(t).Exec(t, "select count(*) from pg_stat_activity where datname = '"+nameOf(t, url)+"'")
		if strings.TrimSpace(out) == "0" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	out, err := pgtest.Query(pgtest.Start(t).URL(nameOf(t, url)), "select seq_scan from pg_stat_user_tables where relname = 'changes'")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
