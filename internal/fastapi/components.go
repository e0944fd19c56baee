package fastapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// components are the reusable parts of a document, by section and name.
type components map[string]map[string]jsontext.Value

// find resolves a reference such as #/components/schemas/SecretKeyValue.
func (c components) find(section, ref string) (jsontext.Value, error) {
	name, ok := strings.CutPrefix(ref, "#/components/"+section+"/")
	raw, known := c[section][name]
	if !ok || !known {
		return nil, fmt.Errorf("%s is not in this document's %s", ref, section)
	}
	return raw, nil
}

// operation compiles an operation for Check. shared are the parameters of its path.
func (c components) operation(path string, shared, raw jsontext.Value) (*operation, error) {
	var text struct {
		OperationID string                `json:"operationId"`
		Parameters  []jsontext.Value      `json:"parameters"`
		RequestBody jsontext.Value        `json:"requestBody"`
		Security    []map[string][]string `json:"security"`
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if err := c.closed(text.Security); err != nil {
		return nil, err
	}
	if shared != nil {
		var common []jsontext.Value
		if err := json.Unmarshal(shared, &common); err != nil {
			return nil, err
		}
		text.Parameters = append(common, text.Parameters...)
	}
	params, query, err := c.params(path, text.Parameters)
	if err != nil {
		return nil, err
	}
	body, err := c.body(text.RequestBody)
	if err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	return &operation{text.OperationID, params, query, body}, nil
}

// closed returns an error for an operation that can be called without credentials, because
// it has no security requirement or an empty alternative.
func (c components) closed(security []map[string][]string) error {
	if len(security) == 0 {
		return errors.New("no security requirement")
	}
	for _, alternative := range security {
		if len(alternative) == 0 {
			return errors.New("a security requirement is empty")
		}
		for scheme := range alternative {
			if c["securitySchemes"][scheme] == nil {
				return fmt.Errorf("security scheme %s is not in this document", scheme)
			}
		}
	}
	return nil
}

// credentials returns the headers of all security schemes.
func (c components) credentials() ([]string, error) {
	var headers []string
	for name, raw := range c["securitySchemes"] {
		var scheme struct {
			Type string `json:"type"`
			In   string `json:"in"`
			Name string `json:"name"`
		}
		if err := json.Unmarshal(raw, &scheme); err != nil {
			return nil, fmt.Errorf("security scheme %s: %w", name, err)
		}
		switch {
		case scheme.Type == "apiKey" && scheme.In == "header" && scheme.Name != "":
			headers = append(headers, http.CanonicalHeaderKey(scheme.Name))
		case scheme.Type == "oauth2", scheme.Type == "http", scheme.Type == "openIdConnect":
			headers = append(headers, "Authorization")
		case scheme.Type == "mutualTLS": // uses the connection, not a header
		default:
			return nil, fmt.Errorf("security scheme %s does not use a header", name)
		}
	}
	slices.Sort(headers)
	return slices.Compact(headers), nil
}

// body compiles a request body. It supports one kind: required, JSON, an object.
func (c components) body(raw jsontext.Value) (*schema, error) {
	if raw == nil {
		return nil, nil
	}
	var text struct {
		Ref      string `json:"$ref"`
		Required bool   `json:"required"`
		Content  map[string]struct {
			Schema jsontext.Value `json:"schema"`
		} `json:"content"`
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if text.Ref != "" {
		return nil, errors.New("cannot follow references to bodies")
	}
	media, ok := text.Content["application/json"]
	if !ok || len(text.Content) != 1 || !text.Required {
		return nil, errors.New("must be required and application/json only")
	}
	s, err := c.schema(media.Schema, 0)
	if err == nil && s.bounded() {
		err = errors.New("cannot check limits of numbers")
	}
	if err == nil && slices.ContainsFunc(s.members, func(m member) bool { return m.schema.patternWithin() }) {
		err = errors.New("cannot check a pattern within a member")
	}
	if err == nil && (s.kind != kindObject || s.nullable) {
		err = errors.New("must be an object")
	}
	return s, err
}
