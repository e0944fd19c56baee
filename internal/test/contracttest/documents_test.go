package contracttest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

// A promise is the documents of one API, parsed by an independent validator.
type promise struct {
	api   string                          // also the name of its files
	paths map[string]map[string]operation // by template and method

	schemas map[string]any

	merged *referee
	strict *referee // the merged document; every undeclared member is an error
	// published is the document that the API's project published, if any; see published_test.go.
	published *referee
}

// An operation has the properties that the suite needs.
type operation struct {
	Responses map[int]struct {
		Content map[string]struct {
			Schema map[string]any `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// freeForm reports whether an object in an answer may have members of any name. The strict
// validator cannot check such an answer.
func (p *promise) freeForm(o operation, status int) bool {
	return p.free(o.Responses[status].Content["application/json"].Schema)
}

func (p *promise) free(part any) bool {
	switch part := part.(type) {
	case []any:
		return slices.ContainsFunc(part, p.free)
	case map[string]any:
		if ref, ok := part["$ref"].(string); ok {
			return p.free(p.schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
		}
		for name, inner := range part {
			if name == "additionalProperties" || p.free(inner) {
				return true
			}
		}
	}
	return false
}

var promises = []*promise{
	mustRead("openhands", "testdata/openhands-0.53.0-secrets.openapi.json"),
	mustRead("agentserver", ""),
	mustRead("openhandsv1", "testdata/openhands-v1-secrets.openapi.json"),
	mustRead("sandbox", "testdata/openhands-v1-secrets.openapi.json"),
	mustRead("nx1", "../../../specs/nx1.yaml"),
	mustRead("vault", ""),
}

// mustRead panics on an error, because without the documents no test can run.
func mustRead(api, published string) *promise {
	merged := "../../../specs/merged/" + api + ".json"
	var text struct {
		Paths      map[string]map[string]operation `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(mustReadFile(merged), &text); err != nil {
		panic(err)
	}
	paths := map[string]map[string]operation{}
	for path, item := range text.Paths {
		paths[path] = map[string]operation{}
		for method, op := range item {
			paths[path][strings.ToUpper(method)] = op
		}
	}
	p := &promise{
		api: api, paths: paths, schemas: text.Components.Schemas,
		merged: mustRefer(merged),
		strict: mustRefer(merged, config.WithStrictMode(), config.WithStrictIgnoredHeadersExtra("X-Content-Type-Options",
			"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers")),
	}
	if published != "" {
		p.published = mustRefer(published)
	}
	return p
}

func mustReadFile(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return text
}

// A referee validates by one document.
type referee struct {
	validator.Validator
	items func(path string) *v3.PathItem
	paths *orderedmap.Map[string, *v3.PathItem]
}

// operation is nil if the document does not have it.
func (r *referee) operation(method, path string) *v3.Operation {
	if item := r.items(path); item != nil {
		return item.GetOperations().GetOrZero(strings.ToLower(method))
	}
	return nil
}

// operations returns all operations of the document as METHOD path.
func (r *referee) operations() (all []string) {
	for path, item := range r.paths.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	return all
}

// mustRefer ignores credentials, because schemas do not describe their validity.
func mustRefer(path string, options ...config.Option) *referee {
	doc, err := libopenapi.NewDocument(mustReadFile(path))
	if err != nil {
		panic(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		panic(err)
	}
	options = append(options, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	paths := model.Model.Paths.PathItems
	return &referee{validator.NewValidatorFromV3Model(&model.Model, options...), paths.GetOrZero, paths}
}

// find returns the promise with this operation, and the operation's path template. The
// validator's own router cleans paths and cannot be used.
func find(method, path string) (*promise, string) {
	for _, p := range promises {
		for template, item := range p.paths {
			if _, ok := item[method]; ok && fits(path, template) {
				return p, template
			}
		}
	}
	return nil, ""
}

func fits(path, template string) bool {
	segments, pattern := strings.Split(path, "/"), strings.Split(template, "/")
	return slices.EqualFunc(segments, pattern, func(segment, want string) bool {
		return segment == want || segment != "" && strings.HasPrefix(want, "{")
	})
}

// each calls do for every operation.
func each(do func(p *promise, method, path string, op operation)) {
	for _, p := range promises {
		for path, item := range p.paths {
			for method, op := range item {
				do(p, method, path, op)
			}
		}
	}
}

func (p *promise) name(method, path string, status int) string {
	return fmt.Sprintf("%-11s %-6s %s %d", p.api, method, path, status)
}
