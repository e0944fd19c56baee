package postgres

import (
	"context"
	"slices"
	"time"
)

const (
	askNodesEvery = 100 * time.Millisecond
	// maxStaleness is the greatest that a config allows. After it, nothing has to be asked.
	maxStaleness = time.Minute
)

// Everywhere implements [state.SharedLog]. A node that has not said anything for as long as
// its staleness does not use it, so a dead one is waited for at most that long.
func (d *DB) Everywhere(ctx context.Context, seq uint64) error {
	began := time.Now()
	for {
		nodes, err := d.Nodes(ctx)
		elapsed := time.Since(began)
		behind := func(n Node) bool { return n.isBehind(seq, elapsed) }
		if elapsed > maxStaleness || err == nil && !slices.ContainsFunc(nodes, behind) {
			return nil
		}
		select {
		case <-time.After(askNodesEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isBehind reports whether the node may begin a request without a change that was
// acknowledged so long ago.
func (n Node) isBehind(seq uint64, elapsed time.Duration) bool {
	return !n.Self && n.Applied < seq && elapsed < n.Staleness && n.Age < n.Staleness+elapsed
}
