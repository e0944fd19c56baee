package peers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A request is sent to both servers. The header Key is the session key unless it is given.
type request struct {
	label, method, path, body string
	header                    map[string]string
}

// An answer has the fields that clients rely on, by name.
type answer map[string]string

// A difference is a known difference. The label * stands for every request. The test
// fails for an unlisted difference, and for a listed one that no longer occurs.
type difference struct {
	label, field, theirs, ours string
	why                        string
}

// compare sends each request of the script to both servers and compares the differences with the list.
func compare(t *testing.T, them, us side, script []request, listed []difference) {
	t.Helper()
	known := map[string]difference{}
	for _, d := range listed {
		id := d.label + " " + d.field
		if _, twice := known[id]; twice || d.why == "" {
			t.Fatalf("%s: listed twice or without a reason", id)
		}
		known[id] = d
	}
	seen, used := map[string]bool{}, map[string]bool{}
	for _, r := range script {
		if seen[r.label] {
			t.Fatalf("two requests are called %q", r.label)
		}
		seen[r.label] = true
		theirs, ours := them.answers(t, r), us.answers(t, r)
		for field, value := range theirs {
			id := r.label + " " + field
			found := difference{r.label, field, value, ours[field], ""}
			want, isListed := known[id]
			if !isListed && value != ours[field] {
				if want, isListed = known["* "+field]; isListed {
					id, want.label = "* "+field, r.label
				}
			}
			used[id] = true
			found.why = want.why
			switch differs := value != ours[field]; {
			case differs && !isListed:
				t.Errorf("unlisted:\n{%q, %q, %q,\n %q,\n},", found.label, field, value, ours[field])
			case !differs && isListed:
				t.Errorf("%s: no longer differs, take it off the list", id)
			case differs && found != want:
				t.Errorf("%s: differs otherwise:\n got %q, %q\nwant %q, %q", id, value, ours[field], want.theirs, want.ours)
			}
		}
	}
	for id := range known {
		if !used[id] {
			t.Errorf("%s: listed, but does not occur", id)
		}
	}
	t.Logf("%d requests, %d listed differences", len(script), len(listed))
}

// The client returns redirects as answers and opens a connection for each request.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

// answers sends the request. Header lines that clients rely on are part of the answer.
func (s side) answers(t *testing.T, r request) answer {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), r.method, s.base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set(keyHeader, s.key)
	if r.body != "" {
		ask.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		ask.Header.Del(name)
		if value != "" {
			ask.Header.Set(name, value)
		}
	}
	response, err := client.Do(ask)
	if err != nil {
		t.Fatalf("%s: %v", r.label, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.label, err)
	}
	text, echoed := withoutEcho(body)
	text, sorted := inOrder(text)
	a := answer{"status": fmt.Sprint(response.StatusCode), "body": text, "echoed": fmt.Sprint(echoed), "sorted": fmt.Sprint(sorted)}
	for _, name := range []string{"Content-Type", "Allow", "Location", "WWW-Authenticate"} {
		a[name] = strings.TrimPrefix(response.Header.Get(name), s.base)
	}
	return a
}

var errorID = regexp.MustCompile(`"error_id":"[0-9a-f]{32}"`)

// withoutEcho returns the body of a 422 without the input and ctx of each error, and
// whether it had any. It also replaces ids that differ from run to run.
func withoutEcho(body []byte) (text string, echoed bool) {
	type mistake struct {
		Type  string            `json:"type"`
		Loc   []json.RawMessage `json:"loc"`
		Msg   string            `json:"msg"`
		Input json.RawMessage   `json:"input,omitempty"`
		Ctx   json.RawMessage   `json:"ctx,omitempty"`
	}
	var b struct {
		Detail []mistake `json:"detail"`
	}
	if json.Unmarshal(body, &b) != nil || len(b.Detail) == 0 {
		return errorID.ReplaceAllString(string(body), `"error_id":"ID"`), false
	}
	for i, m := range b.Detail {
		echoed = echoed || m.Input != nil || m.Ctx != nil
		b.Detail[i].Input, b.Detail[i].Ctx = nil, nil
	}
	stripped, _ := json.Marshal(b)
	return string(stripped), echoed
}

var listItem = regexp.MustCompile(`\{"name":"[^"]*","description":(null|"[^"]*")\}`)

// inOrder sorts the secrets in a list by name, and reports whether they were.
func inOrder(body string) (text string, sorted bool) {
	items := listItem.FindAllString(body, -1)
	if len(items) < 2 {
		return body, true
	}
	sorted = slices.IsSorted(items)
	slices.Sort(items)
	next := -1
	return listItem.ReplaceAllStringFunc(body, func(string) string { next++; return items[next] }), sorted
}
