// Package fastapi validates paths, queries and bodies against an API document, and words
// errors as FastAPI does: 422 with {"detail"}. The generated stubs validate almost
// nothing: without this package, an empty body would empty a secret.
//
// Load reads a document at start-up, Document.Check is the middleware that validates
// requests, and Binder passes checked bodies to the generated code. This package returns
// errors, and each API writes the responses.
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

// A Document describes the requests that an API accepts. It is safe for concurrent use.
type Document struct {
	operations  map[string]map[string]*operation // by echo's path template, then by method
	credentials []string
}

// An operation is one method of one path in the document.
type operation struct {
	id     string
	params []param // in the order of the path
	query  []param // in the order of the document
	body   *schema // nil if it has none
}

// Load reads an OpenAPI 3.1 document in JSON. It fails on everything that Check cannot
// enforce: an unknown schema keyword in a body or parameter, a query parameter that is
// neither a string nor an integer, a body that is optional or not a JSON object. It also
// fails on an operation that needs no credential.
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

// template returns the path in echo's syntax: /api/secrets/:secret_id.
func template(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// CredentialHeaders returns the canonical names of all headers that carry a credential,
// sorted. Code that logs or forwards headers must leave these out.
func (d *Document) CredentialHeaders() []string {
	return slices.Clone(d.credentials)
}

// OperationID returns the id of the operation with this method and path in echo's
// syntax; empty if there is none.
func (d *Document) OperationID(method, path string) string {
	if op := d.operations[path][method]; op != nil {
		return op.id
	}
	return ""
}

// Covers returns an error that names all routes missing from the document and all
// operations without a route. Otherwise a misspelt route would be noticed only when it is
// used.
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

// methods are the methods that an operation may have. Echo answers all other methods with
// 405.
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
