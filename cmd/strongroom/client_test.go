package main_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A client writes its own secrets, one write at a time: through both APIs, and
// as an administrator who restores earlier versions. It remembers which writes
// were acknowledged. It names secrets nx1/NAME, with their data keys and values
// as content, and openhands/NAME, with their description as content.
type client struct {
	install install
	admin   adminSocket
	number  int
	random  *rand.Rand
	writes  int // makes every content unique

	known    holdings  // state after all acknowledged writes
	pending  *holdings // state if the write in progress has happened; nil without one
	requests []string  // request ids of acknowledged writes
	tally    tally
}

func newClient(number int, i install, o adminSocket, random *rand.Rand) *client {
	return &client{install: i, admin: o, number: number, random: random}
}

// A write is a request with its expected effect.
type write struct {
	request
	status int    // expected for an acknowledgement
	secret string // affected secret, with its name after the write
	admin  bool   // send to the administration socket
	after  holdings
}

// write sends writes until the server is killed.
func (c *client) write(t *testing.T, p *process) {
	for {
		w := c.next()
		c.pending = &w.after
		a, err := c.send(t, p, w)
		if err != nil {
			return
		}
		if a.status != w.status {
			t.Errorf("%s %s %s: status %d, want %d: %s", w.method, w.path, w.body, a.status, w.status, a.body)
			return
		}
		c.known, c.pending = w.after, nil
		c.known.heard(t, w.secret, a)
		c.requests = append(c.requests, a.header.Get("X-Request-Id"))
		c.tally.acknowledged++
	}
}

func (c *client) send(t *testing.T, p *process, w write) (answer, error) {
	if w.admin {
		return c.admin.try(t, w.path, w.body)
	}
	return p.try(t, w.method, w.path, w.headers[0], w.body)
}

// next chooses the next write: any possible change to one of eight names.
func (c *client) next() write {
	c.writes++
	api, header, content := "nx1/", c.install.pskHeader(), c.data()
	if c.random.IntN(2) == 0 {
		api, header, content = "openhands/", c.install.sessionHeader(), fmt.Sprint("write ", c.writes)
	}
	s := api + c.name(c.random.IntN(8))
	w := write{secret: s, status: 200, request: request{headers: []string{header}}}
	record, exists := c.known.live[s]
	graves := len(c.known.graves[s])
	earlier, canRestore := record.another(c.random)
	n := c.random.IntN(8)
	switch {
	case !exists && graves > 0 && (n < 4 || graves >= maxGraves):
		c.administer(&w, "/secret/undelete", "")
		w.after = c.known.undeleted(s)
	case !exists:
		c.create(&w, content)
	case n < 2 && graves >= maxGraves:
		c.administer(&w, "/secret/destroy", "")
		w.status, w.after = 204, c.known.destroyed(s)
	case n < 2:
		w.method, w.path = "DELETE", pathOf(s)
		w.after = c.known.deleted(s)
	case n < 4 && canRestore:
		c.administer(&w, "/secret/restore", earlier.revision)
		w.after = c.known.changed(s, s, earlier.content)
	default:
		c.change(&w, content)
	}
	return w
}

// maxGraves bounds the number of kept deleted secrets, and with it the running
// time.
const maxGraves = 3

func (c *client) name(n int) string { return fmt.Sprintf("c%02d-%d", c.number, n) }

// pathOf returns the API path of a secret.
func pathOf(s string) string {
	api, name, _ := strings.Cut(s, "/")
	return map[string]string{"nx1": app, "openhands": "/api/secrets"}[api] + "/" + name
}

// refOf returns the start of a JSON object that names the secret in the
// administration API.
func refOf(s string) string {
	api, name, _ := strings.Cut(s, "/")
	return strings.TrimSuffix(secretRef(ownersOf[api], name), "}")
}

var ownersOf = map[string]string{"nx1": theApp, "openhands": theUser}

func (c *client) administer(w *write, path, revision string) {
	w.admin, w.method, w.path, w.body = true, "POST", path, refOf(w.secret)+"}"
	if revision != "" {
		w.body = fmt.Sprintf(`%s,"revision":%q}`, refOf(w.secret), revision)
	}
}

func (c *client) create(w *write, content string) {
	w.method, w.after = "POST", c.known.created(w.secret, content)
	api, name, _ := strings.Cut(w.secret, "/")
	if api == "nx1" {
		w.path, w.body = app, fmt.Sprintf(`{"secret_name":%q,"data":%s}`, name, dataOf(content))
	} else {
		w.path, w.body, w.status = "/api/secrets", fmt.Sprintf(`{"name":%q,"value":"v","description":%q}`, name, content), 201
	}
}

// change replaces all data or, if the API cannot do that, renames the secret.
func (c *client) change(w *write, content string) {
	w.method, w.path = "PUT", pathOf(w.secret)
	was := w.secret
	if strings.HasPrefix(w.secret, "nx1/") {
		w.body = fmt.Sprintf(`{"data":%s}`, dataOf(content))
	} else {
		name := c.freeName(strings.TrimPrefix(was, "openhands/"))
		w.secret = "openhands/" + name
		w.body = fmt.Sprintf(`{"name":%q,"description":%q}`, name, content)
	}
	w.after = c.known.changed(was, w.secret, content)
}

// data returns data keys and values that all contain the number of the write,
// so that a mix of two writes is detected.
func (c *client) data() string {
	d := nx1Detail{}
	size := []int{10, 100, 3000, 20_000}[c.random.IntN(4)]
	for n := range 1 + c.random.IntN(5) {
		value := fmt.Sprintf("%d.%d.%s", c.number, c.writes, strings.Repeat("x", size))
		d.Data = append(d.Data, keyValue{fmt.Sprintf("k%d-%d", n, c.writes), value})
	}
	return d.content()
}

// freeName returns a name for renaming: an unused one, or the same name.
func (c *client) freeName(name string) string {
	for n := range 8 {
		if _, taken := c.known.live["openhands/"+c.name(n)]; !taken {
			return c.name(n)
		}
	}
	return name
}

// compare checks the secrets on the server against the client's state, and
// decides whether the write in progress has happened.
func (c *client) compare(t *testing.T, p *process, found findings) {
	switch {
	case c.known.same(found):
		if c.pending != nil {
			c.tally.not++
		}
	case c.pending != nil && c.pending.same(found):
		c.known = *c.pending
		c.tally.happened++
	default:
		t.Errorf("client %d: the server has neither the acknowledged state nor the state after the write in progress:\n%s",
			c.number, cmp.Diff(c.known.findings(), found))
		return
	}
	c.pending = nil
	c.tally.compared += len(c.known.live)
	for _, s := range slices.Sorted(maps.Keys(c.known.live)) {
		c.compareHistory(t, s)
		if strings.HasPrefix(s, "nx1/") {
			c.reveal(t, p, s)
		}
	}
}

// compareHistory also learns the revision of a write that was not acknowledged.
func (c *client) compareHistory(t *testing.T, s string) {
	var versions []struct{ Revision string }
	mustDecode(t, c.admin.want(t, 200, "/secret/history", refOf(s)+"}").body, &versions)
	slices.Reverse(versions)
	record := c.known.live[s]
	if len(versions) != len(record) {
		t.Errorf("%s has %d versions, want %d", s, len(versions), len(record))
		return
	}
	for n, v := range versions {
		if record[n].revision == "" {
			record[n].revision = v.Revision
		}
		if record[n].revision != v.Revision {
			t.Errorf("%s: version %d is %s, want %s", s, n, v.Revision, record[n].revision)
		}
	}
	c.tally.versions += len(versions)
}

func (c *client) reveal(t *testing.T, p *process, s string) {
	want := c.known.live[s].now()
	a, err := p.try(t, "GET", pathOf(s)+"/reveal", c.install.pskHeader(), "")
	if err != nil || a.status != 200 {
		t.Errorf("revealing %s: status %d, %v: %s", s, a.status, err, a.body)
		return
	}
	var d nx1Detail
	mustDecode(t, a.body, &d)
	if got := d.content(); got != want.content {
		t.Errorf("%s differs from its acknowledged content (-want +got):\n%s", s, cmp.Diff(want.content, got))
	}
	if got := strings.Trim(a.header.Get("ETag"), `"`); got != want.revision {
		t.Errorf("%s has revision %s, want %s", s, got, want.revision)
	}
	c.tally.revealed++
}

// An nx1Detail is a secret in an answer of Nx1's API.
type nx1Detail struct {
	Name string     `json:"secret_name"`
	Data []keyValue `json:"data"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// content returns the secret's data as text, one line per data key.
func (d nx1Detail) content() string {
	var b strings.Builder
	for _, kv := range d.Data {
		fmt.Fprintf(&b, "%s=%s\n", kv.Key, kv.Value)
	}
	return b.String()
}

var valueInContent = regexp.MustCompile(`=.*\n`)

// maskOf returns the content as a list shows it.
func maskOf(content string) string { return valueInContent.ReplaceAllString(content, "=****\n") }
