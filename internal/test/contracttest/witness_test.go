package contracttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	verrors "github.com/pb33f/libopenapi-validator/errors"
)

// A witness is a transport that checks every request and answer against the documents, and counts
// them as covered, see coverage_test.go.
type witness struct {
	odd   bool     // the server accepts a request that the documents do not allow
	wrong []string // the errors found
}

// report fails the test for each error found.
func (w *witness) report(a answer) {
	a.t.Helper()
	for _, mistake := range w.wrong {
		a.t.Errorf("%s answered %d %s:\n\t%s", a.call, a.status, brief(a.body), mistake)
	}
}

var wire = &http.Transport{DisableCompression: true}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := wire.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var sent []byte
	if r.GetBody != nil {
		again, _ := r.GetBody() // reading a string cannot fail
		sent, _ = io.ReadAll(again)
	}
	w.saw(r, sent, answer{status: response.StatusCode, header: response.Header, body: string(body)})
	return response, nil
}

func (w *witness) saw(r *http.Request, sent []byte, a answer) {
	w.wrong = append(w.wrong, missingHeaders(r, a)...)
	p, path := find(r.Method, r.URL.EscapedPath())
	if p == nil {
		return // an unknown operation; the test itself checks the answer
	}
	w.wrong = append(w.wrong, p.broken(r, path, a)...)
	switch mistake := p.misjudged(r, sent, path, a); {
	case w.odd && mistake == "":
		w.wrong = append(w.wrong, "the document allows the request, but the test marks it as odd")
	case !w.odd && mistake != "":
		w.wrong = append(w.wrong, mistake)
	}
	exercised(p.name(r.Method, path, a.status))
}

// missingHeaders returns the headers that every answer of an API must have and this one
// lacks.
func missingHeaders(r *http.Request, a answer) (missing []string) {
	if got := a.header.Values("Cache-Control"); !slices.Equal(got, []string{"no-store"}) {
		missing = append(missing, fmt.Sprintf("Cache-Control is %q, want no-store", got))
	}
	if id := a.header.Get("X-Request-ID"); len(id) != 26 || !unseen(id) {
		missing = append(missing, fmt.Sprintf("X-Request-ID is %q, want a new one", id))
	}
	if leaks(a.body) && !(reveals(r) && a.status == http.StatusOK) {
		missing = append(missing, "the answer has a value or a key")
	}
	if a.status >= 500 {
		missing = append(missing, "no request may cause an internal error")
	}
	return missing
}

// reveals reports whether the answer may have values.
func reveals(r *http.Request) bool {
	_, name, raw := strings.Cut(r.URL.Path, "/settings/secrets/")
	if strings.HasPrefix(r.URL.Path, "/v1/secret/data/") {
		return true
	}
	return strings.HasSuffix(r.URL.Path, "/reveal") || raw && name != "" && r.Method == http.MethodGet
}

// broken returns the ways in which the answer violates the documents.
func (p *promise) broken(r *http.Request, path string, a answer) (ways []string) {
	ask := func(document string, by *referee) {
		response := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body))}
		_, errs := by.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(r, response, by.items(path), path)
		for _, err := range errs {
			ways = append(ways, document+": "+explain(err))
		}
	}
	ask("merged document", p.merged)
	if !p.freeForm(p.paths[path][r.Method], a.status) {
		ask("merged document, strictly", p.strict)
	}
	known := p.published != nil && p.published.operation(r.Method, path) != nil
	if known && !disagrees(p.name(r.Method, path, a.status)) {
		ask("published document", p.published)
	}
	return ways
}

// misjudged compares the server's validation with the validator's. A request that the document
// forbids must be refused. One that it allows must not be a 422, except for limits outside of
// schemas and for texts that decoders read differently.
func (p *promise) misjudged(r *http.Request, sent []byte, path string, a answer) string {
	done := a.status < 400
	if !done && a.status != http.StatusUnprocessableEntity {
		return ""
	}
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	if again.Header.Get("Content-Type") == "" {
		again.Header.Set("Content-Type", "application/json") // as the server treats it
	}
	valid, errs := p.merged.ValidateHttpRequestSyncWithPathItem(again, p.merged.items(path), path)
	switch {
	case done && !valid:
		return "the request should have been refused: " + explain(errs[0])
	case !done && valid && !stricter(a.body):
		return "the request should not have been refused: the document allows it"
	}
	return ""
}

// stricter reports whether a 422 is about a rule outside of schemas.
func stricter(body string) bool {
	if body == says(badName) || body == says(redacted) {
		return true
	}
	var problem struct{ Detail []struct{ Type string } }
	return json.Unmarshal([]byte(body), &problem) == nil && len(problem.Detail) > 0 &&
		slices.Contains([]string{"value_error", "json_invalid", "string_unicode"}, problem.Detail[0].Type)
}

// explain omits the object, because the message already has it.
func explain(err *verrors.ValidationError) string {
	text := err.Message + ": " + err.Reason
	for _, failure := range err.SchemaValidationErrors {
		text += "; " + failure.FieldPath + " " + failure.Reason
	}
	return text
}

var (
	seen   = map[string]int{} // by operation and status
	ids    = map[string]bool{}
	seenMu sync.Mutex
)

func exercised(what string) {
	seenMu.Lock()
	defer seenMu.Unlock()
	seen[what]++
}

func unseen(id string) bool {
	seenMu.Lock()
	defer seenMu.Unlock()
	old := ids[id]
	ids[id] = true
	return !old
}
