package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/metrics"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// A node is this process among those that share a state in a database.
type node struct {
	*postgres.DB
	file      *state.File
	staleness time.Duration
	log       *slog.Logger
	failed    rate.Sometimes // limits log lines

	mu     sync.Mutex
	beaten time.Time // when the last successful beat began
}

var _ admin.Duties = (*node)(nil)

func newNode(db *postgres.DB, file *state.File, reads config.Reads, log *slog.Logger) *node {
	return &node{DB: db, file: file, staleness: time.Duration(reads.Staleness), log: log, failed: rate.Sometimes{First: 3, Interval: time.Minute}}
}

// fresh brings the state up to date, as far as the config demands. It returns nil at once
// with a state file.
func (n *node) fresh(ctx context.Context) error {
	if n == nil {
		return nil
	}
	return n.file.Fresh(ctx, n.allowed())
}

// allowed returns how stale the state may be. It is zero if this node could not report
// to the others for that long, because a revocation does not wait for a silent node.
func (n *node) allowed() time.Duration {
	if n.staleness == 0 {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.beaten) >= n.staleness {
		return 0
	}
	return n.staleness
}

const (
	// beatEvery is how often a node reports to the others which changes it has.
	beatEvery = time.Second
	// foldEvery is how often one node brings the rows in the database up to date.
	foldEvery = 30 * time.Second
	// foldDuty is the duty of that node.
	foldDuty = "fold"
)

// run tells the other nodes about this one, and folds, until ctx is done.
func (n *node) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { n.every(ctx, n.beatEvery(), "telling the other nodes", n.beat) })
	all.Go(func() { n.every(ctx, foldEvery, "folding changes in the database", n.foldOnDuty) })
	all.Wait()
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = n.file.LeaveLease(soon) // or the next node waits
}

// beatEvery is less than the staleness, which needs a beat within that time.
func (n *node) beatEvery() time.Duration {
	if n.staleness > 0 {
		return min(beatEvery, n.staleness/4)
	}
	return beatEvery
}

// every calls do at once and then at each interval.
func (n *node) every(ctx context.Context, interval time.Duration, doing string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, state.ErrConflict) {
			n.failed.Do(func() { n.log.Warn(doing, "error", err) })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) beat(ctx context.Context) error {
	began := time.Now()
	err := n.file.Confirm(ctx)
	if err == nil {
		err = n.Beat(ctx, n.file.Applied(), n.staleness)
	}
	if err == nil && n.staleness > 0 && n.allowed() == 0 {
		err = n.file.Confirm(ctx) // revocations did not wait for this node until now
	}
	if err == nil {
		n.mu.Lock()
		n.beaten = began
		n.mu.Unlock()
		err = n.takeLease(ctx)
	}
	return err
}

// takeLease lets this node read without asking the database if it is alone.
func (n *node) takeLease(ctx context.Context) error {
	if !n.file.MayTakeLease() {
		return nil
	}
	nodes, err := n.Nodes(ctx)
	isOther := func(o postgres.Node) bool { return !o.Self && o.Age < state.AloneFor }
	if err != nil || slices.ContainsFunc(nodes, isOther) {
		return err
	}
	return n.file.TakeLease(ctx)
}

// foldOnDuty folds if no other node has done so lately.
func (n *node) foldOnDuty(ctx context.Context) error {
	has, err := n.Claim(ctx, foldDuty, foldEvery+foldEvery/2)
	if !has || err != nil {
		return err
	}
	folded, err := n.Folded(ctx)
	if err != nil || folded.At.Seq == n.file.Position().Seq {
		return err
	}
	now, err := n.file.Snapshot()
	if err != nil {
		return err
	}
	return n.Fold(ctx, now)
}

// measure returns the values of the metrics. It sends no network requests.
func (n *node) measure() metrics.Database {
	if n == nil {
		return metrics.Database{}
	}
	c, applied := n.Counts(), n.file.Applied()
	return metrics.Database{
		On: true, Answered: c.Answered, Behind: c.Head - min(applied, c.Head), Conflicts: n.file.Conflicts(), Repeated: c.Repeated,
	}
}

// freshForAdministration is fresh for the requests of administrators. Status and doctor are
// answered without the database, too.
func (n *node) freshForAdministration(r *http.Request) error {
	err := n.fresh(r.Context())
	if strings.HasSuffix(r.URL.Path, "/status") || strings.HasSuffix(r.URL.Path, "/doctor") {
		return nil
	}
	return err
}
