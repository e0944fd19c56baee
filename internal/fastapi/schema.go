package fastapi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A schema is a compiled JSON schema, with the keywords that the documents use.
type schema struct {
	kind     *kind
	nullable bool
	members  []member // of an object, in the document's order
	items    *schema  // of a list
	pattern  bool     // of a string: it has a pattern, which a Rule implements
	above    *int64   // of an integer: the limits of its values
	most     *int64
}

type member struct {
	name     string
	loc      any // the name, boxed once
	required bool
	schema   *schema
	rule     Rule // nil: none
}

// A kind is a JSON type, with pydantic's message for values of other types.
type kind struct {
	first          string // the characters that can begin a value of this kind
	errorType, msg string
}

var (
	kindText   = &kind{`"`, "string_type", "Input should be a valid string"}
	kindList   = &kind{`[`, "list_type", "Input should be a valid list"}
	kindWhole  = &kind{"-0123456789", "int_type", "Input should be a valid integer"}
	kindTruth  = &kind{"tf", "bool_type", "Input should be a valid boolean"}
	kindObject = &kind{`{`, "model_attributes_type", "Input should be a valid dictionary or object to extract fields from"}
)

// A schemaText is a schema as written in the document. A schema with a keyword that is
// missing here does not decode: an unchecked keyword must stop the start.
type schemaText struct {
	Ref        string           `json:"$ref"`
	AnyOf      []jsontext.Value `json:"anyOf"`
	Type       string           `json:"type"`
	Format     string           `json:"format"`
	Pattern    string           `json:"pattern"` // of a member of a body: see Rule; of a parameter: for the API to check
	Properties properties       `json:"properties"`
	Required   []string         `json:"required"`
	Items      jsontext.Value   `json:"items"`
	Above      *int64           `json:"exclusiveMinimum"`
	Most       *int64           `json:"maximum"`

	// Documentation only.
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Default     jsontext.Value `json:"default"`
	Examples    jsontext.Value `json:"examples"`
	WriteOnly   bool           `json:"writeOnly"`
	Deprecated  bool           `json:"deprecated"`
}

// properties is a JSON object that keeps its order.
type properties []property

type property struct {
	name   string
	schema jsontext.Value
}

func (p *properties) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return errors.New("properties must be an object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*p = properties{} // not nil, even if there are none
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		said := name.String() // before the next read, which overwrites the token
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		*p = append(*p, property{said, value.Clone()})
	}
	_, err := dec.ReadToken()
	return err
}

func parseSchema(raw jsontext.Value) (t schemaText, err error) {
	if err := json.Unmarshal(raw, &t, json.RejectUnknownMembers(true)); err != nil {
		return t, err
	}
	return t, t.checkCombination()
}

// schema compiles a schema. depth stops schemas that refer to themselves.
func (c components) schema(raw jsontext.Value, depth int) (*schema, error) {
	if depth > 16 {
		return nil, errors.New("nested too deeply")
	}
	t, err := parseSchema(raw)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Ref != "":
		target, err := c.find("schemas", t.Ref)
		if err != nil {
			return nil, err
		}
		return c.schema(target, depth+1)
	case t.AnyOf != nil:
		return c.nullable(t.AnyOf, depth)
	case t.Type == "string" && (t.Format == "" || t.Format == "password"):
		return &schema{kind: kindText, pattern: t.Pattern != ""}, nil
	case t.Type == "integer" && t.Format == "":
		return &schema{kind: kindWhole, above: t.Above, most: t.Most}, nil
	case t.Type == "boolean":
		return &schema{kind: kindTruth}, nil
	case t.Type == "array":
		items, err := c.schema(t.Items, depth+1)
		return &schema{kind: kindList, items: items}, err
	case t.Type == "object":
		return c.object(t, depth)
	}
	return nil, fmt.Errorf("cannot check type %q with format %q", t.Type, t.Format)
}

// checkCombination rejects combinations of keywords that Check does not support.
func (t *schemaText) checkCombination() error {
	var (
		object = t.Properties != nil || t.Required != nil
		list   = t.Items != nil
		text   = t.Format != "" || t.Pattern != ""
		whole  = t.Above != nil || t.Most != nil
		other  = t.Ref != "" || t.AnyOf != nil
	)
	switch {
	case other && (t.Type != "" || t.Ref != "" && t.AnyOf != nil),
		object && t.Type != "object",
		list != (t.Type == "array"),
		text && t.Type != "string",
		whole && t.Type != "integer":
		return errors.New("cannot check this combination of keywords")
	}
	return nil
}

var errNotNullable = errors.New("cannot check anyOf, except of one schema and null")

// nullable compiles the only union in the documents: a schema or null.
func (c components) nullable(either []jsontext.Value, depth int) (*schema, error) {
	if len(either) != 2 {
		return nil, errNotNullable
	}
	if null, err := parseSchema(either[1]); err != nil || null.Type != "null" {
		return nil, errors.Join(errNotNullable, err)
	}
	s, err := c.schema(either[0], depth+1)
	if err != nil {
		return nil, err
	}
	s.nullable = true
	return s, nil
}

func (c components) object(t schemaText, depth int) (*schema, error) {
	s := &schema{kind: kindObject}
	for _, p := range t.Properties {
		value, err := c.schema(p.schema, depth+1)
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", p.name, err)
		}
		s.members = append(s.members, member{p.name, p.name, slices.Contains(t.Required, p.name), value, nil})
	}
	for _, name := range t.Required {
		if !slices.ContainsFunc(s.members, func(m member) bool { return m.name == name }) {
			return nil, fmt.Errorf("required member %s has no schema", name)
		}
	}
	return s, nil
}
