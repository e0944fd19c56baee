package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A client writes secrets of its own through both APIs, one after the other,
// and remembers what was acknowledged. Secrets go by nx1/NAME, with their keys
// and values as content, and openhands/NAME, with their description.
type client struct {
	install install
	number  int
	random  *rand.Rand
	writes  int // so that every content is another

	known   map[string]string // what was acknowledged
	pending map[string]string // what it is if the write under way happened; nil if none is
	tally   tally
}

func newClient(number int, i install, random *rand.Rand) *client {
	return &client{install: i, number: number, random: random, known: map[string]string{}}
}

// A write is a request and what there is after it.
type write struct {
	method, path, header, body string
	status                     int // if it is acknowledged
	after                      map[string]string
}

// write writes until the server is gone.
func (c *client) write(t *testing.T, p *process) {
	for {
		w := c.next()
		c.pending = w.after
		a, err := p.try(t, w.method, w.path, w.header, w.body)
		if err != nil {
			return
		}
		if a.status != w.status {
			t.Errorf("%s %s: status %d, want %d: %s", w.method, w.path, a.status, w.status, a.body)
			return
		}
		c.known, c.pending = w.after, nil
		c.tally.acknowledged++
	}
}

// next makes up the next write: for a name of eight, whatever can be done to it.
func (c *client) next() write {
	c.writes++
	name := c.name(c.random.IntN(8))
	if c.random.IntN(2) == 0 {
		return c.nextOfNx1(name)
	}
	return c.nextOfOpenHands(name)
}

func (c *client) name(n int) string { return fmt.Sprintf("c%02d-%d", c.number, n) }

func (c *client) nextOfNx1(name string) write {
	w := write{header: c.install.pskHeader(), status: 200, after: maps.Clone(c.known)}
	data, content := c.data()
	_, exists := c.known["nx1/"+name]
	switch {
	case !exists:
		w.method, w.path = "POST", app
		w.body = fmt.Sprintf(`{"secret_name":%q,"data":%s}`, name, data)
		w.after["nx1/"+name] = content
	case c.random.IntN(4) == 0:
		w.method, w.path = "DELETE", app+"/"+name
		delete(w.after, "nx1/"+name)
	default:
		w.method, w.path = "PUT", app+"/"+name
		w.body = fmt.Sprintf(`{"data":%s}`, data)
		w.after["nx1/"+name] = content
	}
	return w
}

// data makes up keys and values that belong together: the number of the write
// is in all of them, so that halves of two would show.
func (c *client) data() (data, content string) {
	d := nx1Detail{}
	size := []int{10, 100, 3000, 20_000}[c.random.IntN(4)]
	for n := range 1 + c.random.IntN(5) {
		value := fmt.Sprintf("%d.%d.%s", c.number, c.writes, strings.Repeat("x", size))
		d.Data = append(d.Data, keyValue{fmt.Sprintf("k%d-%d", n, c.writes), value})
	}
	text, err := json.Marshal(d.Data)
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return string(text), d.content()
}

func (c *client) nextOfOpenHands(name string) write {
	w := write{header: c.install.sessionHeader(), status: 200, after: maps.Clone(c.known)}
	description := fmt.Sprint("write ", c.writes)
	_, exists := c.known["openhands/"+name]
	switch {
	case !exists:
		w.method, w.path, w.status = "POST", "/api/secrets", 201
		w.body = fmt.Sprintf(`{"name":%q,"value":"v","description":%q}`, name, description)
		w.after["openhands/"+name] = description
	case c.random.IntN(4) == 0:
		w.method, w.path = "DELETE", "/api/secrets/"+name
		delete(w.after, "openhands/"+name)
	default:
		w.method, w.path = "PUT", "/api/secrets/"+name
		delete(w.after, "openhands/"+name)
		name = c.freeName(name)
		w.body = fmt.Sprintf(`{"name":%q,"description":%q}`, name, description)
		w.after["openhands/"+name] = description
	}
	return w
}

// freeName is a name for a renaming: one that is free, or the same.
func (c *client) freeName(name string) string {
	for n := range 8 {
		if _, taken := c.known["openhands/"+c.name(n)]; !taken {
			return c.name(n)
		}
	}
	return name
}

// compare holds what there is against what the client knows, decides what
// became of the write under way, and goes on from there.
func (c *client) compare(t *testing.T, p *process, listed map[string]string) {
	switch {
	case same(c.known, listed):
		if c.pending != nil {
			c.tally.not++
		}
	case c.pending != nil && same(c.pending, listed):
		c.known = c.pending
		c.tally.happened++
	default:
		t.Errorf("client %d: what is listed is neither what was acknowledged nor that with the write under way:\n%s",
			c.number, cmp.Diff(masks(c.known), listed))
		return
	}
	c.pending = nil
	c.tally.compared += len(c.known)
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		if short, ok := strings.CutPrefix(name, "nx1/"); ok {
			c.reveal(t, p, short, c.known[name])
		}
	}
}

func (c *client) reveal(t *testing.T, p *process, name, want string) {
	a, err := p.try(t, "GET", app+"/"+name+"/reveal", c.install.pskHeader(), "")
	if err != nil || a.status != 200 {
		t.Errorf("revealing %s: status %d, %v: %s", name, a.status, err, a.body)
		return
	}
	var d nx1Detail
	mustDecode(t, a.body, &d)
	if got := d.content(); got != want {
		t.Errorf("%s is not as it was acknowledged (-want +got):\n%s", name, cmp.Diff(want, got))
	}
	c.tally.revealed++
}

// An nx1Detail is a secret as Nx1's API shows it.
type nx1Detail struct {
	Name string     `json:"secret_name"`
	Data []keyValue `json:"data"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// content is the secret's data as one text: a line for each key.
func (d nx1Detail) content() string {
	var b strings.Builder
	for _, kv := range d.Data {
		fmt.Fprintf(&b, "%s=%s\n", kv.Key, kv.Value)
	}
	return b.String()
}

var valueInContent = regexp.MustCompile(`=.*\n`)

// maskOf is the content as a list shows it.
func maskOf(content string) string { return valueInContent.ReplaceAllString(content, "=****\n") }

func masks(secrets map[string]string) map[string]string {
	masked := map[string]string{}
	for name, content := range secrets {
		masked[name] = maskOf(content)
	}
	return masked
}
