package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A tenant is an owner under test, with the credential for its API.
type tenant struct {
	name    string
	path    string
	header  string // credential
	isApp   bool   // an app of Nx1, otherwise a user of OpenHands
	history []porcupine.Operation
}

var tenantNames = []string{"n0", "n1", "n2", "n3", "n4"}

// A player sends operations on one tenant, one at a time, while other players
// do the same, and records the operations and replies.
type player struct {
	tenant    *tenant
	number    int
	random    *rand.Rand
	clock     func() int64
	revisions map[string]string // last seen revision by name, soon outdated
	writes    int               // makes every content unique
	history   []porcupine.Operation
	requests  []string // ids of acknowledged changes
}

// A match is the time from one start of the server to its kill.
type match struct {
	process *process
	over    atomic.Bool // the server is being killed
	left    atomic.Int64
	enough  chan struct{} // closed when left is 0
}

func newMatch(p *process, operations int) *match {
	m := &match{process: p, enough: make(chan struct{})}
	m.left.Store(int64(operations))
	return m
}

// play sends operations until the server is killed, even after enough of them.
func (c *player) play(t *testing.T, m *match) {
	for t.Context().Err() == nil {
		err := c.do(t, m.process, c.next())
		if err != nil && !m.over.Load() {
			t.Errorf("%s: %v, but the server was not killed", c.tenant.name, err)
		}
		if err != nil || t.Failed() {
			return
		}
		if m.left.Add(-1) == 0 {
			close(m.enough)
		}
	}
}

// errUnavailable is the answer 503: a change may have happened, or may yet.
var errUnavailable = errors.New("503 Service Unavailable")

// do sends one operation. An unanswered read is not recorded, and neither is a request to a
// server that does not run.
func (c *player) do(t *testing.T, p *process, op operation) error {
	r := c.tenant.request(op)
	called := c.clock()
	a, err := p.send(t, r)
	if err == nil && a.status == http.StatusServiceUnavailable {
		err = errUnavailable
	}
	got := reply{outcome: lost}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return err
	case err == nil:
		got = c.tenant.understand(t, op, a)
	}
	if got.outcome == done && r.method != "GET" {
		c.requests = append(c.requests, a.header.Get("X-Request-Id"))
	}
	if got.outcome != lost || r.method != "GET" {
		c.history = append(c.history, porcupine.Operation{ClientId: c.number, Input: op, Output: got, Call: called, Return: c.clock()})
	}
	if got.revision != "" {
		c.revisions[op.nameAfter()] = got.revision
	}
	return err
}

// handOver closes the records of a killed server: an unanswered operation has
// happened by now or never will.
func (c *player) handOver() {
	now := c.clock()
	for i := range c.history {
		if c.history[i].Output.(reply).outcome == lost {
			c.history[i].Return = now
		}
	}
	c.keep()
}

func (c *player) keep() {
	c.tenant.history = append(c.tenant.history, c.history...)
	c.history = nil
}

// lookAround reads all secrets while no player writes, and the list twice.
func (c *player) lookAround(t *testing.T, p *process) {
	ops := []operation{{verb: listing}}
	for _, name := range tenantNames {
		if c.tenant.isApp {
			ops = append(ops, operation{verb: revealing, name: name})
		}
	}
	for _, op := range append(ops, operation{verb: listing}) {
		if err := c.do(t, p, op); err != nil {
			t.Error(err)
			return
		}
	}
	c.handOver()
}

func (c *player) next() operation {
	verbs := []verb{creating, creating, describing, describing, describing, removing, listing}
	if c.tenant.isApp {
		verbs = []verb{creating, creating, replacing, replacing, replacing, getting, revealing, revealing, removing, listing}
	}
	c.writes++
	op := operation{verb: verbs[c.random.IntN(len(verbs))], name: c.aName()}
	switch op.verb {
	case listing:
		op.name = ""
	case creating, replacing, describing:
		op.content = c.content()
	}
	if op.verb == describing {
		op.newName = c.aName()
	}
	conditional := op.verb == replacing || op.verb == describing || op.verb == removing
	if conditional && c.random.IntN(2) == 0 {
		op.ifMatch = c.revisions[op.name]
	}
	return op
}

func (c *player) aName() string { return tenantNames[c.random.IntN(len(tenantNames))] }

func (c *player) content() content {
	mark := fmt.Sprintf("%d.%d", c.number, c.writes)
	if !c.tenant.isApp {
		return content{description: mark}
	}
	d := nx1Detail{}
	for n := range c.random.IntN(4) { // no data keys is a valid content, too
		d.Data = append(d.Data, keyValue{fmt.Sprintf("k%d-%s", n, mark), mark})
	}
	return content{values: d.content()}
}

func (n *tenant) request(op operation) request {
	r := request{headers: []string{n.header}, path: n.path, method: map[verb]string{
		creating: "POST", replacing: "PUT", describing: "PUT", removing: "DELETE", getting: "GET", revealing: "GET", listing: "GET",
	}[op.verb]}
	if op.verb != creating && op.verb != listing {
		r.path += "/" + op.name
	}
	if op.verb == revealing {
		r.path += "/reveal"
	}
	if op.ifMatch != "" {
		r.headers = append(r.headers, fmt.Sprintf("If-Match: %q", op.ifMatch))
	}
	switch {
	case op.verb == creating && n.isApp:
		r.body = fmt.Sprintf(`{"secret_name":%q,"data":%s}`, op.name, dataOf(op.content.values))
	case op.verb == creating:
		r.body = fmt.Sprintf(`{"name":%q,"value":"v","description":%q}`, op.name, op.content.description)
	case op.verb == replacing:
		r.body = fmt.Sprintf(`{"data":%s}`, dataOf(op.content.values))
	case op.verb == describing:
		r.body = fmt.Sprintf(`{"name":%q,"description":%q}`, op.newName, op.content.description)
	}
	return r
}

// dataOf is the inverse of nx1Detail.content.
func dataOf(content string) string {
	data := []keyValue{}
	for line := range strings.Lines(content) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		data = append(data, keyValue{key, value})
	}
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings can always be marshalled
	}
	return string(text)
}

// understand converts an answer into a reply of the model.
func (n *tenant) understand(t *testing.T, op operation, a answer) reply {
	outcomes := map[int]outcome{200: done, 404: missing, 409: taken, 412: outdated}
	if !n.isApp {
		outcomes = map[int]outcome{200: done, 201: done, 404: missing, 400: taken, 412: outdated}
	}
	got := reply{outcome: outcomes[a.status], revision: strings.Trim(a.header.Get("ETag"), `"`)}
	switch {
	case got.outcome == "":
		t.Errorf("%s: %+v: status %d: %s", n.name, op, a.status, a.body)
	case got.outcome != done:
		got.revision = ""
	case op.verb == listing:
		got.list = n.listed(t, a)
	case n.isApp && op.verb != removing:
		var d nx1Detail
		mustDecode(t, a.body, &d)
		got.values = d.content()
	}
	return got
}

func (n *tenant) listed(t *testing.T, a answer) map[string]string {
	var names []string
	list := map[string]string{}
	add := func(name, shown string) { names, list[name] = append(names, name), shown }
	if n.isApp {
		var details []nx1Detail
		mustDecode(t, a.body, &details)
		for _, d := range details {
			add(d.Name, d.content())
		}
	} else {
		var custom customSecrets
		mustDecode(t, a.body, &custom)
		for _, s := range custom.Secrets {
			add(s.Name, s.Description)
		}
	}
	if !slices.IsSorted(names) || len(names) != len(list) {
		t.Errorf("%s: names are listed twice or out of order: %v", n.name, names)
	}
	return list
}

type customSecrets struct {
	Secrets []struct{ Name, Description string } `json:"custom_secrets"`
}

// clock returns a clock that all players share.
func clock() func() int64 {
	start := time.Now()
	return func() int64 { return int64(time.Since(start)) }
}
