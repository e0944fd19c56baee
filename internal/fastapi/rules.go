package fastapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Rule is what an API asks of a text member of a body beyond its type, such as the form of a
// name. It returns what is wrong with the text, or nothing, and never the text itself.
//
// A body that breaks nothing but rules passes Check, and the API refuses it after it has
// authorized the caller. Where a body is refused anyway, its 422 lists broken rules too.
type Rule func(r *http.Request, text string) (reason string)

// Rules are those of an API, by operation and by member of its body:
//
//	Rules{"PUT /api/secrets/{secret_id}": {"name": rule}}
type Rules map[string]map[string]Rule

// Apply gives the document the rules. The error is a rule for something that the document does
// not have, or a pattern in a body that no rule stands for.
func (d *Document) Apply(rules Rules) error {
	for call, members := range rules {
		method, path, _ := strings.Cut(call, " ")
		op := d.operations[template(path)][method]
		for name, rule := range members {
			if op == nil || op.body == nil || !op.body.rule(name, rule) {
				return fmt.Errorf("rule for %s of %s: not in the API document", name, call)
			}
		}
	}
	for path, operations := range d.operations {
		for method, op := range operations {
			if op.body != nil && op.body.unruled() {
				return fmt.Errorf("%s %s: a pattern in the body has no rule", method, path)
			}
		}
	}
	return nil
}

// rule sets the rule of a member.
func (s *schema) rule(name string, rule Rule) bool {
	for i := range s.members {
		if m := &s.members[i]; m.name == name && m.schema.kind == kindText {
			m.rule = rule
			return true
		}
	}
	return false
}

// unruled reports whether a member has a pattern and no rule.
func (s *schema) unruled() bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return m.schema.pattern && m.rule == nil })
}

// patternWithin reports whether an item or a member of the schema has a pattern, at any depth.
func (s *schema) patternWithin() bool {
	within := func(s *schema) bool { return s.pattern || s.patternWithin() }
	return s.items != nil && within(s.items) ||
		slices.ContainsFunc(s.members, func(m member) bool { return within(m.schema) })
}

// match returns what is wrong with a body. Rules are asked only if it is refused anyway.
func (op *operation) match(r *http.Request, text []byte) []Detail {
	details := match(text, op.body, nil)
	if len(details) == 0 {
		return nil
	}
	return match(text, op.body, r)
}

// rule asks the rule of the member whose value is at pos.
func (m *matcher) rule(want *member, pos int) {
	if m.request == nil || want.rule == nil || m.text[pos] != '"' {
		return
	}
	if reason := want.rule(m.request, string(unquote(m.text[pos:m.end(pos)]))); reason != "" {
		m.report(Detail{Type: "value_error", Msg: "Value error, " + reason})
	}
}
