// Package contracttest checks the server's answers against the published documents with
// independent validators. It is a separate module, so that their dependencies stay out of the
// server.
package contracttest

import (
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/strongroom/strongroom/internal/fastapi"
)

var (
	bodies = flag.Int("bodies", 10_000, "how many random bodies to try on every operation")
	seed   = flag.Uint64("seed", 0, "where the random bodies begin; 0 takes the time")
)

// Check must refuse a body exactly when an independent JSON Schema validator does.
func TestCheckAgreesWithAJSONSchemaValidator(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed %d -bodies %d", *seed, *bodies)
	for _, name := range []string{"openhands", "nx1", "agentserver", "openhandsv1"} {
		doc := mustOpen(t, name)
		tried := 0
		for path, item := range doc.tree["paths"].(map[string]any) {
			for method, op := range item.(map[string]any) {
				if op, ok := op.(map[string]any); ok && op["requestBody"] != nil {
					t.Run(name+" "+method+" "+path, func(t *testing.T) { doc.compare(t, method, path) })
					tried++
				}
			}
		}
		if tried == 0 {
			t.Errorf("%s has no operation with a body", name)
		}
	}
}

// A document is one of specs/merged, parsed by both validators.
type document struct {
	tree     map[string]any
	schemas  *jsonschema.Compiler
	requests *fastapi.Document
}

func mustOpen(t *testing.T, name string) *document {
	t.Helper()
	text, err := os.ReadFile("../../../specs/merged/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	requests, err := fastapi.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	withoutPatterns(tree)
	schemas := jsonschema.NewCompiler()
	schemas.DefaultDraft(jsonschema.Draft2020)
	if err := schemas.AddResource("document.json", tree); err != nil {
		t.Fatal(err)
	}
	return &document{tree.(map[string]any), schemas, requests}
}

func (d *document) compare(t *testing.T, method, path string) {
	pointer := strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path)
	schema, err := d.schemas.Compile("document.json#/paths/" + pointer + "/" + method + "/requestBody/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	shape := dig(d.tree, "paths", path, method, "requestBody", "content", "application/json", "schema")
	g := generator{Rand: rand.New(rand.NewPCG(*seed, 0)), tree: d.tree}
	check := d.checker(method, path)
	accepted := 0
	for range *bodies {
		body := g.body(shape)
		want := schema.Validate(mustParse(t, body))
		got := check(body)
		if invalid := (*fastapi.ValidationError)(nil); got != nil && !errors.As(got, &invalid) {
			t.Fatalf("%s\ngot %v, want a verdict", body, got)
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("%s\ngot %v, want %v", body, got, want)
		}
		if got == nil {
			accepted++
		}
	}
	share := 100 * accepted / *bodies
	t.Logf("%d bodies, %d %% accepted", *bodies, share)
	if share < 20 || share > 80 {
		t.Errorf("%d %% accepted: the generator should make both good and bad bodies", share)
	}
}

// checker returns a function that sends bodies to an operation through echo.
func (d *document) checker(method, path string) func(body string) error {
	verdict := errors.New("no verdict")
	e := echo.New()
	e.HTTPErrorHandler = func(err error, _ echo.Context) { verdict = err }
	e.Use(d.requests.Check(fastapi.Bounds{MaxBody: 4 << 20}))
	e.Add(strings.ToUpper(method), strings.NewReplacer("{", ":", "}", "").Replace(path), func(echo.Context) error {
		verdict = nil
		return nil
	})
	target := strings.NewReplacer("{app_id}", "0ab6cf0b-5d9a-4a3c-bb76-6e2a1c2f1a00", "{", "", "}", "").Replace(path)
	return func(body string) error {
		r := httptest.NewRequest(strings.ToUpper(method), target, strings.NewReader(body))
		e.ServeHTTP(httptest.NewRecorder(), r)
		return verdict
	}
}

// withoutPatterns removes patterns, because an API checks those after authorization.
func withoutPatterns(tree any) {
	switch tree := tree.(type) {
	case map[string]any:
		if _, isText := tree["pattern"].(string); isText {
			delete(tree, "pattern")
		}
		for _, branch := range tree {
			withoutPatterns(branch)
		}
	case []any:
		for _, branch := range tree {
			withoutPatterns(branch)
		}
	}
}

func dig(tree map[string]any, way ...string) map[string]any {
	for _, step := range way {
		tree = tree[step].(map[string]any)
	}
	return tree
}

func mustParse(t *testing.T, body string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil || !json.Valid([]byte(body)) {
		t.Fatalf("%s: the generator makes no JSON: %v", body, err)
	}
	return value
}
