package fastapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Rule is an API's own check of a string member of a body, such as the form of a name. It
// returns the reason why the text is invalid, or "". The reason never quotes the text.
//
// A body that breaks only rules passes Check: the API rejects it after it has authorized
// the caller. If Check rejects a body for another reason, the 422 lists broken rules, too.
type Rule func(r *http.Request, text string) (reason string)

// Rules are the rules of an API, by operation and by member of its body:
//
//	Rules{"PUT /api/secrets/{secret_id}": {"name": rule}}
type Rules map[string]map[string]Rule

// Apply adds the rules to the document. It returns an error for a rule about an operation
// or member that the document lacks, and for a pattern in a body without a rule.
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

// match returns the errors in a body. It applies rules only if there are other errors.
func (op *operation) match(r *http.Request, text []byte) []Detail {
	details := match(text, op.body, nil)
	if len(details) == 0 {
		return nil
	}
	return match(text, op.body, r)
}

// rule applies the rule of the member with its value at pos.
func (m *matcher) rule(want *member, pos int) {
	if m.request == nil || want.rule == nil || m.text[pos] != '"' {
		return
	}
	if reason := want.rule(m.request, string(unquote(m.text[pos:m.end(pos)]))); reason != "" {
		m.report(Detail{Type: "value_error", Msg: "Value error, " + reason})
	}
}
