package postgres

import (
	"context"
	"slices"
	"time"
)

const (
	askNodesEvery = 100 * time.Millisecond
	// maxStaleness is the limit in the config. After it, no node can be stale.
	maxStaleness = time.Minute
)

// Everywhere implements [state.SharedLog]. A node whose last beat is older than its staleness
// asks for the head before each read, so a dead node is waited for at most that long.
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

// isBehind reports whether the node may answer a read without a change that was acknowledged
// so long ago.
func (n Node) isBehind(seq uint64, elapsed time.Duration) bool {
	return !n.Self && n.Applied < seq && elapsed < n.Staleness && n.Age < n.Staleness+elapsed
}
