package app

import (
	"testing"
	"time"
)

// A revocation does not wait for a node that has not reported for as long as its staleness.
func TestOnlyANodeThatReportsMayBeStale(t *testing.T) {
	const staleness = 10 * time.Second
	now := time.Now()
	for name, tc := range map[string]struct {
		staleness time.Duration
		beaten    time.Time
		want      time.Duration
	}{
		"never reported":     {staleness, time.Time{}, 0},
		"has just reported":  {staleness, now, staleness},
		"silent for as long": {staleness, now.Add(-staleness), 0},
		"without staleness":  {0, now, 0},
	} {
		n := &node{staleness: tc.staleness, beaten: tc.beaten}
		if got := n.allowed(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	for _, staleness := range []time.Duration{time.Second, 2 * time.Second, time.Minute} {
		if every := (&node{staleness: staleness}).beatEvery(); every >= staleness/2 {
			t.Errorf("a node with a staleness of %s reports every %s, so it loses the staleness between", staleness, every)
		}
	}
}
