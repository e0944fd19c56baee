package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/state/postgres"
)

// nodes returns the nodes for administrators, none with a state file or while the database
// is away.
func (n *node) nodes(ctx context.Context) (all []admin.Node) {
	if n == nil {
		return nil
	}
	known, err := n.Nodes(ctx)
	if err != nil {
		return nil // findings reports it
	}
	at := n.file.Position().Seq
	for _, k := range known {
		if k.Self {
			k.Applied = at
		}
		all = append(all, admin.Node{
			Name: k.Name, Version: k.Version, Self: k.Self, Behind: at - min(k.Applied, at), Heard: k.Age, Staleness: k.Staleness, Duties: k.Duties,
		})
	}
	return all
}

const (
	// apart is the difference between two clocks that is reported as a problem.
	apart = 5 * time.Second
	// slow is the time of a query that is reported, because each request takes one.
	slow = 50 * time.Millisecond
)

// findings returns the findings about the database and the other nodes, none with a state
// file.
func (n *node) findings(ctx context.Context) []admin.Finding {
	if n == nil {
		return nil
	}
	found := n.transport()
	about, err := n.Describe(ctx)
	if err != nil {
		return append(found, admin.Finding{About: "database", Text: fmt.Sprintf("%v: %s", err, n.meanwhile())})
	}
	found = append(found, admin.Finding{About: "database", OK: true, Text: fmt.Sprintf(
		"PostgreSQL %s at %s answers in %s", about.Version, about.Host, about.Took.Round(10*time.Microsecond))})
	warn := func(is bool, about, text string, args ...any) {
		if is {
			found = append(found, admin.Finding{About: about, OK: true, Warning: true, Text: fmt.Sprintf(text, args...)})
		}
	}
	warn(about.Took > slow, "database", "a query takes %s, and requests wait for one: use a database in the same network", about.Took.Round(time.Millisecond))
	warn(about.Standbys == "", "database", "no synchronous standby has to confirm a change, so a failover loses acknowledged changes: "+
		"set synchronous_standby_names, unless the database is restored in another way")
	if ahead := about.Ahead; ahead.Abs() > apart {
		found = append(found, admin.Finding{About: "clock", Text: fmt.Sprintf(
			"it differs from the database's by %s: set both right, because expiry of keys depends on each node's clock", ahead.Abs().Round(time.Second))})
	}
	return append(found, n.nodeFindings(ctx)...)
}

// plainURL is the warning about a connection to the database that others could read or change.
const plainURL = "a connection to the database crosses a network without encryption, or without a check of the server's certificate and name: " +
	"set sslmode=verify-full and sslrootcert in its URL"

// transport warns of a URL that allows such a connection.
func (n *node) transport() []admin.Finding {
	if n == nil || !n.Plain() {
		return nil
	}
	return []admin.Finding{{About: "database", OK: true, Warning: true, Text: plainURL}}
}

// meanwhile describes how this node serves without the database.
func (n *node) meanwhile() string {
	if n.staleness == 0 {
		return "requests get 503 until it does"
	}
	return fmt.Sprintf("changes get 503 until it does, and reads after %s", n.staleness)
}

// silentFor is the age of a node's last beat from which it does not count as running.
const silentFor = 10 * time.Second

// nodeFindings warns of silent nodes.
func (n *node) nodeFindings(ctx context.Context) []admin.Finding {
	all, err := n.Nodes(ctx)
	if err != nil {
		return nil
	}
	var found []admin.Finding
	for _, other := range all {
		if other.Age >= silentFor {
			found = append(found, admin.Finding{About: "node " + other.Name, OK: true, Warning: true, Text: fmt.Sprintf(
				"it has said nothing for %s: it is stopped, paused or cut off; it is forgotten after an hour", other.Age.Round(time.Second))})
		}
	}
	alive := len(slices.DeleteFunc(all, func(other postgres.Node) bool { return other.Age >= silentFor }))
	return append(found, admin.Finding{About: "nodes", OK: true, Text: fmt.Sprintf("%d running", alive)})
}
