// Package fastapi is the 422 and {"detail"} dialect that both published documents share,
// and the checks of paths and bodies behind it. The generated stubs check almost nothing:
// to them an empty body is a request to empty a secret.
//
// Load reads a document at start-up, Document.Check is the middleware that holds requests
// against it, and Binder hands the generated code what was checked. Errors are returned,
// not rendered: an answer is the API's own business.
package fastapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// A Document is what an API has promised to accept. It is safe for concurrent use.
type Document struct {
	operations  map[string]map[string]*operation // by echo's path template, then by method
	credentials []string
}

// An operation is what the document says about one method of one path.
type operation struct {
	params []param // in the order of the path
	query  []param // in the order of the document
	body   *schema // nil if it takes none
}

// Load reads an OpenAPI 3.1 document in JSON. It fails on whatever Check could not check,
// so that nothing is promised in a document and waved through in operation: a schema
// keyword that it does not know (in bodies and parameters), a query parameter that is
// neither text nor a whole number, a body that is optional or not a JSON object. It fails on an operation that lets anybody in, too.
func Load(document []byte) (*Document, error) {
	var text struct {
		OpenAPI    string                               `json:"openapi"`
		Paths      map[string]map[string]jsontext.Value `json:"paths"`
		Components components                           `json:"components"`
	}
	if err := json.Unmarshal(document, &text); err != nil {
		return nil, fmt.Errorf("reading the API document: %w", err)
	}
	if !strings.HasPrefix(text.OpenAPI, "3.1.") {
		return nil, fmt.Errorf("reading the API document: it is OpenAPI %q, not 3.1", text.OpenAPI)
	}
	d := &Document{operations: make(map[string]map[string]*operation)}
	for path, item := range text.Paths {
		operations, err := text.Components.operations(path, item)
		if err != nil {
			return nil, fmt.Errorf("reading the API document: %s: %w", path, err)
		}
		d.operations[template(path)] = operations
	}
	var err error
	if d.credentials, err = text.Components.credentials(); err != nil {
		return nil, fmt.Errorf("reading the API document: %w", err)
	}
	return d, nil
}

// template is how echo writes a path: /api/secrets/:secret_id.
func template(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// CredentialHeaders are the canonical names of all headers that a caller can show who he
// is with, sorted. Whoever logs or forwards headers has to leave these out.
func (d *Document) CredentialHeaders() []string {
	return slices.Clone(d.credentials)
}

// Covers reports, by name, all routes that the document does not have and all operations
// of the document that have no route. A misspelt route would otherwise be found by a user.
func (d *Document) Covers(routes []*echo.Route) error {
	var bad []string
	routed := make(map[string]bool)
	for _, r := range routes {
		routed[r.Method+" "+r.Path] = true
		if d.operations[r.Path][r.Method] == nil {
			bad = append(bad, fmt.Sprintf("route %s %s is not in the API document", r.Method, r.Path))
		}
	}
	for path, operations := range d.operations {
		for method := range operations {
			if !routed[method+" "+path] {
				bad = append(bad, fmt.Sprintf("operation %s %s of the API document has no route", method, path))
			}
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return errors.New(strings.Join(bad, "\n"))
}

// methods are those an operation may have. Echo answers others with 405.
var methods = map[string]string{
	"get":    http.MethodGet,
	"put":    http.MethodPut,
	"post":   http.MethodPost,
	"delete": http.MethodDelete,
	"patch":  http.MethodPatch,
}

// operations compiles everything under one path.
func (c components) operations(path string, item map[string]jsontext.Value) (map[string]*operation, error) {
	operations := make(map[string]*operation)
	for key, raw := range item {
		method, ok := methods[key]
		if !ok {
			if key == "parameters" || key == "summary" || key == "description" {
				continue
			}
			return nil, fmt.Errorf("cannot check %s", key)
		}
		op, err := c.operation(path, item["parameters"], raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		operations[method] = op
	}
	return operations, nil
}
