package fastapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// queryParam compiles a query parameter: a string or an integer, or null if it may be
// missing.
func (c components) queryParam(name string, required bool, raw jsontext.Value) (param, error) {
	s, err := c.schema(raw, 0)
	if err == nil && s.kind != kindText && s.kind != kindWhole {
		err = errors.New("must be text or a whole number")
	}
	if err == nil && s.pattern {
		err = errors.New("cannot check a pattern")
	}
	if err != nil {
		return param{}, fmt.Errorf("query parameter %s: %w", name, err)
	}
	return param{name: name, required: required, schema: s}, nil
}

// checkQuery returns the errors in the document's parameters. Like the framework, it
// ignores others. A repeated parameter is an error: parsers disagree about which one
// counts.
func (op *operation) checkQuery(raw string) (details []Detail) {
	if len(op.query) == 0 {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return []Detail{{Type: "string_unicode", Loc: []any{"query"}, Msg: notUnicode}}
	}
	for _, p := range op.query {
		sent := values[p.name]
		if len(sent) == 0 && p.required {
			details = append(details, missing("query", p.name))
		}
		if errorType, msg := p.schema.query(sent); errorType != "" {
			details = append(details, Detail{Type: errorType, Loc: []any{"query", p.name}, Msg: msg})
		}
	}
	return details
}

const notUnicode = "Input should be a valid string, unable to parse raw data as a unicode string"

// query returns the error in the values of a parameter.
func (s *schema) query(sent []string) (errorType, msg string) {
	switch {
	case len(sent) == 0:
		return "", ""
	case len(sent) > 1:
		return s.kind.errorType, s.kind.msg
	case !utf8.ValidString(sent[0]):
		return "string_unicode", notUnicode
	case s.kind == kindWhole:
		return s.whole(sent[0])
	default:
		return "", ""
	}
}

// whole accepts decimal digits with or without a sign. The framework accepts other
// forms, too.
func (s *schema) whole(text string) (errorType, msg string) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
	}
	number, _ := strconv.ParseInt(text, 10, 64) // out of range, it returns the nearest
	switch {
	case s.above != nil && number <= *s.above:
		return "greater_than", fmt.Sprintf("Input should be greater than %d", *s.above)
	case s.most != nil && number > *s.most:
		return "less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", *s.most)
	}
	return "", ""
}

// bounded reports whether a number in the schema has limits. Only those of query
// parameters are enforced.
func (s *schema) bounded() bool {
	return s.above != nil || s.most != nil || s.items != nil && s.items.bounded() ||
		slices.ContainsFunc(s.members, func(m member) bool { return m.schema.bounded() })
}
