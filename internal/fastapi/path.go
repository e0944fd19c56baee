package fastapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// A param is a parameter of a path or a query.
type param struct {
	name     string
	uuid     bool
	required bool
	schema   *schema // of a query parameter
}

// params compiles path parameters in the path's order, and query parameters in the
// document's. The generated code reads headers; they must be plain strings, the one type
// that it handles correctly.
func (c components) params(path string, texts []jsontext.Value) (inPath, inQuery []param, err error) {
	declared := make(map[string]param)
	for _, raw := range texts {
		in, p, err := c.param(raw)
		if err != nil {
			return nil, nil, err
		}
		switch in {
		case "path":
			declared[p.name] = p
		case "query":
			inQuery = append(inQuery, p)
		}
	}
	for _, name := range placeholders(path) {
		p, ok := declared[name]
		if !ok {
			return nil, nil, fmt.Errorf("path parameter %s is not declared", name)
		}
		inPath = append(inPath, p)
	}
	return inPath, inQuery, nil
}

// placeholders returns the names in braces.
func placeholders(path string) (names []string) {
	for _, part := range strings.Split(path, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		names = append(names, name)
	}
	return names
}

func (c components) param(raw jsontext.Value) (in string, p param, err error) {
	var text struct {
		Ref      string         `json:"$ref"`
		Name     string         `json:"name"`
		In       string         `json:"in"`
		Required bool           `json:"required"`
		Schema   jsontext.Value `json:"schema"`
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", p, err
	}
	if text.Ref != "" {
		target, err := c.find("parameters", text.Ref)
		if err != nil {
			return "", p, err
		}
		return c.param(target)
	}
	if text.In == "query" {
		p, err = c.queryParam(text.Name, text.Required, text.Schema)
		return "query", p, err
	}
	s, err := parseSchema(text.Schema)
	if err != nil {
		return "", p, fmt.Errorf("parameter %s: %w", text.Name, err)
	}
	known := s.Type == "string" && (s.Format == "" || s.Format == "uuid" && text.In == "path")
	if !known || text.In != "path" && text.In != "header" {
		return "", p, fmt.Errorf("cannot check %s parameter %s", text.In, text.Name)
	}
	return text.In, param{name: text.Name, uuid: s.Format == "uuid"}, nil
}

// checkPath returns the errors in the parameters, or an error if no resource can have
// this path. Echo's last parameter may contain slashes, unlike the framework's.
func (op *operation) checkPath(c echo.Context) (details []Detail, err error) {
	values := c.ParamValues()
	if len(values) != len(op.params) {
		return nil, errUnknownRoute
	}
	for i, p := range op.params {
		value, err := decode(c, values[i])
		if err != nil || !p.uuid && !isText(value) {
			return nil, echo.ErrNotFound
		}
		if p.uuid && !isUUID(value) {
			details = append(details, invalidUUID(p.name))
		}
	}
	return details, nil
}

// oneSegmentEach reports whether each parameter of echo's path matches one segment. It is
// for requests without a handler, for which echo supplies no parameters.
func oneSegmentEach(c echo.Context) bool {
	sent, template := strings.Split(echo.GetPath(c.Request()), "/"), strings.Split(c.Path(), "/")
	return slices.EqualFunc(sent, template, func(segment, want string) bool {
		value, err := decode(c, segment)
		return err == nil && isText(value) || !strings.HasPrefix(want, ":")
	})
}

var errPath = errors.New("not one segment")

// decode unescapes a parameter exactly when the generated code does: echo routes by
// RawPath if there is one, and its parameters are then still escaped.
func decode(c echo.Context, value string) (string, error) {
	if c.Request().URL.RawPath != "" {
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return "", err
		}
		value = decoded
	}
	// Checked after decoding, which turns an escaped slash into a slash.
	if value == "" || strings.Contains(value, "/") {
		return "", errPath
	}
	return value, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// PathParam returns a parameter of the path, as the generated code will get it, or nothing
// if the path has none of the name. The path must have been checked.
func PathParam(c echo.Context, name string) string {
	value, _ := decode(c, c.Param(name))
	return value
}

// isUUID accepts the forms that the upstream framework accepts, in upper and lower case:
// 00112233-4455-6677-8899-aabbccddeeff, the same in braces or after urn:uuid:, and 32
// hexadecimal digits. The generated code parses all of them into one form. Its parser
// alone would also accept any two bytes in place of the braces.
func isUUID(s string) bool {
	if len(s) == 32 {
		return !strings.ContainsFunc(s, func(r rune) bool { return r > 'f' || !isHex(byte(r)) }) // #nosec G115 -- r is at most 'f'
	}
	if inner, braced := strings.CutPrefix(s, "{"); braced {
		var closed bool
		if s, closed = strings.CutSuffix(inner, "}"); !closed {
			return false
		}
	} else {
		s = strings.TrimPrefix(s, "urn:uuid:")
	}
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
