package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// An apiDoc is an OpenAPI document as its page shows it.
type apiDoc struct {
	Name, Title, Description string
	Credentials              []credentialHeader
	Operations               []operation
}

// A credentialHeader is a header in which the API takes a credential.
type credentialHeader struct{ Header, Prefix string }

// An operation is one method of one path.
type operation struct {
	ID, Method, Path     string
	Summary, Description string
	Params               []param
	Body                 []bodyField // of the request
	Example              string      // of the body, in JSON
	Responses            []response
}

type param struct {
	Name, In, Type, Description string
	Required                    bool
}

// A bodyField is a member of a body. Its name has the path to it, as data[].key.
type bodyField struct {
	Name, Type, Description string
	Required                bool
}

type response struct {
	Status, Description string
	Fields              []bodyField
}

// The parts of OpenAPI 3.1 that the documents use.
type (
	openAPI struct {
		Info       struct{ Title, Description string }
		Paths      ordered[map[string]json.RawMessage]
		Components struct {
			Schemas         map[string]*schema
			Parameters      map[string]*parameter
			Responses       map[string]content
			SecuritySchemes map[string]struct{ Type, In, Name, Scheme string }
		}
	}
	apiOperation struct {
		OperationID, Summary, Description string
		Parameters                        []*parameter
		RequestBody                       *content
		Responses                         ordered[content]
	}
	parameter struct {
		Ref                   string `json:"$ref"`
		Name, In, Description string
		Required              bool
		Schema                *schema
	}
	content struct {
		Ref         string `json:"$ref"`
		Description string
		Content     map[string]struct{ Schema *schema }
	}
	schema struct {
		Ref                 string `json:"$ref"`
		Type                any
		Format, Description string
		Properties          ordered[*schema]
		Required            []string
		Items               *schema
		AnyOf               []*schema
		Example             any
	}
)

// ordered is a JSON object whose members keep their order.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *ordered[T]) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value T
		if err := d.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, member[T]{fmt.Sprint(name), value})
	}
	return nil
}

// methods are in the order in which a path's operations are shown.
var methods = []string{"get", "post", "put", "delete"}

// readDoc reads a document.
func readDoc(d Document) (*apiDoc, error) {
	var from openAPI
	if err := json.Unmarshal(d.JSON, &from); err != nil {
		return nil, fmt.Errorf("the document %s: %w", d.Name, err)
	}
	doc := &apiDoc{Name: d.Name, Title: from.Info.Title, Description: from.Info.Description, Credentials: from.credentials()}
	slices.SortStableFunc(from.Paths, func(a, b member[map[string]json.RawMessage]) int { return cmp.Compare(a.Name, b.Name) })
	for _, path := range from.Paths {
		for _, method := range methods {
			text, ok := path.Value[method]
			if !ok {
				continue
			}
			var op apiOperation
			if err := json.Unmarshal(text, &op); err != nil {
				return nil, fmt.Errorf("the document %s: %s %s: %w", d.Name, method, path.Name, err)
			}
			doc.Operations = append(doc.Operations, from.operation(strings.ToUpper(method), path.Name, op))
		}
	}
	return doc, nil
}

func (d *openAPI) credentials() (all []credentialHeader) {
	for _, s := range d.Components.SecuritySchemes {
		header := credentialHeader{"Authorization", "Bearer "}
		if s.Type == "apiKey" {
			header = credentialHeader{s.Name, ""}
		}
		if !slices.Contains(all, header) {
			all = append(all, header)
		}
	}
	slices.SortFunc(all, func(a, b credentialHeader) int { return cmp.Compare(b.Header, a.Header) })
	return all
}

func (d *openAPI) operation(method, path string, from apiOperation) operation {
	op := operation{ID: from.OperationID, Method: method, Path: path, Summary: from.Summary, Description: from.Description}
	for _, p := range from.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[lastOf(p.Ref)]
		}
		op.Params = append(op.Params, param{p.Name, p.In, d.typeOf(p.Schema), p.Description, p.Required})
	}
	if from.RequestBody != nil {
		if s := from.RequestBody.json(); s != nil {
			op.Body = d.fields(s, "", 0)
			example, _ := json.MarshalIndent(d.example(s, 0), "", "  ") // of JSON values
			op.Example = string(example)
		}
	}
	for _, r := range from.Responses {
		if r.Value.Ref != "" {
			r.Value = d.Components.Responses[lastOf(r.Value.Ref)]
		}
		answer := response{Status: r.Name, Description: r.Value.Description}
		if s := r.Value.json(); s != nil && strings.HasPrefix(r.Name, "2") {
			answer.Fields = d.fields(s, "", 0)
		}
		op.Responses = append(op.Responses, answer)
	}
	slices.SortFunc(op.Responses, func(a, b response) int { return cmp.Compare(a.Status, b.Status) })
	return op
}

func (c *content) json() *schema { return c.Content["application/json"].Schema }

func lastOf(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// resolve follows references. A choice between a schema and null is the schema.
func (d *openAPI) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[lastOf(s.Ref)]
	}
	if s == nil {
		return &schema{}
	}
	if len(s.AnyOf) > 0 && s.Properties == nil {
		first := *d.resolve(s.AnyOf[0])
		first.Description = cmp.Or(s.Description, first.Description)
		return &first
	}
	return s
}

// deepest bounds recursion into schemas.
const deepest = 4

// fields returns the members of a schema, with those of its members.
func (d *openAPI) fields(s *schema, path string, depth int) (all []bodyField) {
	s = d.resolve(s)
	if s.Items != nil {
		return d.fields(s.Items, path+"[]", depth+1)
	}
	for _, p := range s.Properties {
		name := p.Name
		if path != "" {
			name = path + "." + name
		}
		description := cmp.Or(p.Value.Description, d.resolve(p.Value).Description)
		all = append(all, bodyField{name, d.typeOf(p.Value), description, slices.Contains(s.Required, p.Name)})
		if depth < deepest {
			all = append(all, d.fields(p.Value, name, depth+1)...)
		}
	}
	return all
}

func (d *openAPI) typeOf(s *schema) string {
	nullable := s != nil && slices.ContainsFunc(s.AnyOf, func(s *schema) bool { return s.Type == "null" })
	s = d.resolve(s)
	text := "any"
	switch t := s.Type.(type) {
	case string:
		text = t
	case []any:
		text = fmt.Sprint(t[0])
		nullable = nullable || len(t) > 1
	}
	if s.Items != nil {
		text = "array of " + d.typeOf(s.Items)
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if nullable {
		text += " or null"
	}
	return text
}

// example returns a value of the schema.
func (d *openAPI) example(s *schema, depth int) any {
	s = d.resolve(s)
	switch {
	case s.Example != nil:
		return s.Example
	case depth > deepest:
		return nil
	case s.Items != nil:
		return []any{d.example(s.Items, depth+1)}
	case s.Properties != nil:
		return d.exampleObject(s, depth)
	case s.Type == "integer", s.Type == "number":
		return 1
	case s.Type == "boolean":
		return true
	case s.Format == "uuid":
		return "0f8fad5b-d9cb-469f-a165-70867728950e"
	}
	return "text"
}

// exampleObject keeps the order of the members.
func (d *openAPI) exampleObject(s *schema, depth int) json.RawMessage {
	var text bytes.Buffer
	for i, p := range s.Properties {
		name, _ := json.Marshal(p.Name)                       // of a string
		value, _ := json.Marshal(d.example(p.Value, depth+1)) // of JSON values
		fmt.Fprintf(&text, "%c%s:%s", "{,"[min(i, 1)], name, value)
	}
	return append(text.Bytes(), '}')
}
