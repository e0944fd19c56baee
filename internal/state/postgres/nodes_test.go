package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state/postgres"
)

func TestNodesSeeEachOther(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	if err := one.Beat(t.Context(), 7, 0); err != nil {
		t.Fatal(err)
	}
	if err := two.Beat(t.Context(), 8, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := two.Beat(t.Context(), 9, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if has, err := two.Claim(t.Context(), "fold", time.Minute); err != nil || !has {
		t.Fatal(has, err)
	}
	nodes := wantNodes(t, one, 2)
	for _, n := range nodes {
		if n.ID == "" || n.Name != t.Name() || n.Version != "1" || n.Age < 0 || n.Age > 10*time.Second {
			t.Errorf("node %+v", n)
		}
		if n.Self && (n.Applied != 7 || n.Staleness != 0 || len(n.Duties) != 0) {
			t.Errorf("this node: %+v", n)
		}
		if !n.Self && (n.Applied != 9 || n.Staleness != 1500*time.Millisecond || !slices.Equal(n.Duties, []string{"fold"})) {
			t.Errorf("the other node: %+v", n)
		}
	}
	execute(t, url, "update strongroom.nodes set seen = seen - interval '10 minutes' where applied = 9")
	for _, n := range wantNodes(t, one, 2) {
		if !n.Self && n.Age < 10*time.Minute {
			t.Errorf("the other node's age is %v", n.Age)
		}
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	wantNodes(t, one, 1)
	execute(t, url, "insert into strongroom.nodes select 'gone', name, version, applied, staleness_ms, seen - interval '2 hours' from strongroom.nodes")
	if err := one.Beat(t.Context(), 7, 0); err != nil {
		t.Fatal(err)
	}
	wantNodes(t, one, 1)
}

func wantNodes(t *testing.T, db *postgres.DB, want int) []postgres.Node {
	t.Helper()
	nodes, err := db.Nodes(t.Context())
	if err != nil || len(nodes) != want {
		t.Fatalf("nodes %+v, %v, want %d", nodes, err, want)
	}
	return nodes
}

func TestDutyHasOneNode(t *testing.T) {
	url := newState(t)
	one, two := open(t, url), open(t, url)
	claim := func(what string, db *postgres.DB, length time.Duration, want bool) {
		t.Helper()
		if has, err := db.Claim(t.Context(), "tidy", length); err != nil || has != want {
			t.Errorf("%s: %t, %v, want %t", what, has, err, want)
		}
	}
	claim("a free duty", one, time.Minute, true)
	claim("a duty of another node", two, time.Minute, false)
	claim("its own duty", one, time.Minute, true)
	if err := two.Release(t.Context(), "tidy"); err != nil {
		t.Fatal(err)
	}
	claim("a duty that another node cannot release", two, time.Minute, false)
	if err := one.Release(t.Context(), "tidy"); err != nil {
		t.Fatal(err)
	}
	claim("a released duty", two, time.Minute, true)
	execute(t, url, "update strongroom.duties set expires = clock_timestamp() - interval '1 second'")
	claim("a duty that has expired", one, time.Minute, true)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	claim("a duty of a closed node", two, time.Minute, true)
}
