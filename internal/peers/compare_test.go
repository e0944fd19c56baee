package peers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A request is sent to both servers. The header Key is the session key unless it is given.
type request struct {
	label, method, path, body string
	header                    map[string]string
}

// An answer holds what clients rely on, by the field's name.
type answer map[string]string

// A difference is one that is known. The label * stands for every request. Unlisted differences fail, and so do listed ones that no
// longer occur.
type difference struct {
	label, field, theirs, ours string
	why                        string
}

// compare sends the script to both servers in step, and holds what differs to the list.
func compare(t *testing.T, them, us side, script []request, listed []difference) {
	t.Helper()
	known := map[string]difference{}
	for _, d := range listed {
		known[d.label+" "+d.field] = d
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
	response, err := http.DefaultTransport.RoundTrip(ask)
	if err != nil {
		t.Fatalf("%s: %v", r.label, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.label, err)
	}
	text, echoed := withoutEcho(body)
	a := answer{"status": fmt.Sprint(response.StatusCode), "body": text, "echoed": fmt.Sprint(echoed)}
	for _, name := range []string{"Content-Type", "Allow", "Location", "WWW-Authenticate"} {
		a[name] = response.Header.Get(name)
	}
	return a
}

var errorID = regexp.MustCompile(`"error_id":"[0-9a-f]{32}"`)

// withoutEcho returns the body of a 422 without the input and ctx of each mistake, and whether it
// had any. Everything else stays as it was sent, except ids that differ from run to run.
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
