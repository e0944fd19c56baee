package fastapi

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
)

// match validates text, which must be one valid JSON value, against a schema. It walks the
// schema and looks up each member in the text, so errors come in the schema's order.
// If request is not nil, it applies the members' rules, too.
func match(text []byte, s *schema, request *http.Request) []Detail {
	m := matcher{text: text, request: request, loc: append(make([]any, 0, 8), "body")}
	m.value(m.gap(0), s)
	return m.details
}

type matcher struct {
	text    []byte
	request *http.Request
	loc     []any // of the current value
	details []Detail
}

func (m *matcher) value(pos int, s *schema) {
	switch first := m.text[pos]; {
	case first == 'n' && s.nullable:
	case strings.IndexByte(s.kind.first, first) < 0, s.kind == kindWhole && !m.whole(pos):
		m.report(Detail{Type: s.kind.errorType, Msg: s.kind.msg})
	case s.kind == kindObject:
		m.object(pos, s)
	case s.kind == kindList:
		m.list(pos, s)
	}
}

// whole reports whether the number at pos has no fraction and no exponent.
func (m *matcher) whole(pos int) bool {
	return !bytes.ContainsAny(m.text[pos:m.end(pos)], ".eE")
}

func (m *matcher) object(pos int, s *schema) {
	for i := range s.members {
		want := &s.members[i]
		m.loc = append(m.loc, want.loc)
		value, found := m.find(pos, want.name)
		if found {
			m.value(value, want.schema)
			m.rule(want, value)
		} else if want.required {
			m.report(missing())
		}
		m.loc = m.loc[:len(m.loc)-1]
	}
}

func (m *matcher) list(pos int, s *schema) {
	index := 0
	for pos = m.gap(pos + 1); m.text[pos] != ']'; pos = m.gap(m.end(pos)) {
		m.loc = append(m.loc, index)
		m.value(pos, s.items)
		m.loc = m.loc[:len(m.loc)-1]
		index++
	}
}

func (m *matcher) report(d Detail) {
	if len(m.details) < maxDetails {
		d.Loc = slices.Clone(m.loc)
		m.details = append(m.details, d)
	}
}

// find returns the position of a member's value in the object at pos.
func (m *matcher) find(pos int, name string) (value int, found bool) {
	for pos = m.gap(pos + 1); m.text[pos] != '}'; pos = m.gap(m.end(value)) {
		end := m.end(pos)
		value = m.gap(end)
		if string(unquote(m.text[pos:end])) == name {
			return value, true
		}
	}
	return 0, false
}

// gap skips white space and separators. Valid text needs no further check.
func (m *matcher) gap(pos int) int {
	for isGap(m.text[pos]) {
		pos++
	}
	return pos
}

func isGap(c byte) bool { return c == ',' || c == ':' || isSpace(c) }

// end returns the position after the value at pos.
func (m *matcher) end(pos int) int {
	switch m.text[pos] {
	case '"':
		return m.endOfString(pos)
	case '{', '[':
		return m.endOfNest(pos)
	}
	for c := m.text[pos]; !isGap(c) && c != ']' && c != '}'; c = m.text[pos] {
		pos++
	}
	return pos
}

func (m *matcher) endOfString(pos int) int {
	for pos++; m.text[pos] != '"'; pos++ {
		if m.text[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

func (m *matcher) endOfNest(pos int) int {
	for depth := 0; ; {
		switch m.text[pos] {
		case '"':
			pos = m.endOfString(pos)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		pos++
		if depth == 0 {
			return pos
		}
	}
}
