package fastapi

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth limits the nesting of lists and objects. The documents need three levels.
const maxDepth = 64

// maxParts limits the values of a body, including those in lists and objects. A secret with
// the largest allowed number of data keys needs a third of them.
const maxParts = 10_000

var errNotJSON = errors.New("the text is not JSON")

// scan finds the first syntax error of a JSON text. It is stricter than the framework
// it imitates: duplicate names in an object, half a surrogate pair, NaN and Infinity are
// errors too, because decoders disagree about them. The position is the character (not the
// byte) that CPython 3.12's json module reports, and comes with errNotJSON. With more than
// maxParts values scan stops and returns ErrTooMany: decoding them would take longer than the
// scan.
func scan(text []byte) (character int, err error) {
	s := scanner{text: text}
	switch {
	case s.document():
		return 0, nil
	case s.parts > maxParts:
		return 0, ErrTooMany
	}
	return utf8.RuneCount(text[:s.pos]), errNotJSON
}

// A scanner reads a text once. Each method expects the element in its name at pos. It
// moves pos past the element, or returns false and moves pos to the error.
type scanner struct {
	text  []byte
	pos   int
	parts int // values so far
}

func (s *scanner) document() bool {
	s.space()
	if !s.value(0) {
		return false
	}
	s.space()
	return s.pos == len(s.text)
}

func (s *scanner) value(depth int) bool {
	if s.parts++; s.parts > maxParts {
		return false
	}
	switch s.peek() {
	case '"':
		return s.string()
	case '{':
		return depth < maxDepth && s.object(depth+1)
	case '[':
		return depth < maxDepth && s.list(depth+1)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) object(depth int) bool {
	var seen names
	s.pos++
	s.space()
	if s.take('}') {
		return true
	}
	for s.member(&seen, depth) {
		s.space()
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
	return false
}

func (s *scanner) member(seen *names, depth int) bool {
	start := s.pos
	if !s.string() {
		return false
	}
	if !seen.add(unquote(s.text[start:s.pos])) {
		s.pos = start
		return false
	}
	s.space()
	if !s.take(':') {
		return false
	}
	s.space()
	return s.value(depth)
}

func (s *scanner) list(depth int) bool {
	s.pos++
	s.space()
	if s.take(']') {
		return true
	}
	for s.value(depth) {
		s.space()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
	return false
}

func (s *scanner) string() bool {
	start := s.pos
	if !s.take('"') {
		return false
	}
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return true
		case c == '\\':
			if !s.escape() {
				return false
			}
		case c < ' ':
			return false
		default:
			s.pos++
		}
	}
	s.pos = start // an unterminated string is reported at its start
	return false
}

func (s *scanner) escape() bool {
	switch s.at(s.pos + 1) {
	case 'u':
		return s.unicode()
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return true
	}
	if s.pos+1 < len(s.text) {
		return false
	}
	s.pos++ // the text ends here, so the string is unterminated
	return true
}

// unicode reads \uXXXX, or two of them if they make one character. Its errors are
// reported at the letter u.
func (s *scanner) unicode() bool {
	s.pos++
	first, ok := s.hex(s.pos + 1)
	if !ok {
		return false
	}
	if !utf16.IsSurrogate(first) {
		s.pos += 5
		return true
	}
	if s.at(s.pos+5) != '\\' || s.at(s.pos+6) != 'u' {
		return false
	}
	second, ok := s.hex(s.pos + 7)
	if !ok && first < 0xdc00 {
		s.pos += 6
		return false
	}
	if utf16.DecodeRune(first, second) == utf8.RuneError {
		return false
	}
	s.pos += 11
	return true
}

// hex reads four digits. Like CPython, it requires a character after them.
func (s *scanner) hex(pos int) (r rune, ok bool) {
	if pos+4 >= len(s.text) {
		return 0, false
	}
	for _, c := range s.text[pos : pos+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number reads the longest valid number: in 1.x the error is at .x.
func (s *scanner) number() bool {
	pos := s.pos
	if s.at(pos) == '-' {
		pos++
	}
	switch {
	case s.at(pos) == '0':
		pos++
	case s.digit(pos):
		pos = s.digits(pos)
	default:
		return false
	}
	if s.at(pos) == '.' && s.digit(pos+1) {
		pos = s.digits(pos + 1)
	}
	s.pos = s.exponent(pos)
	return true
}

func (s *scanner) exponent(pos int) int {
	if s.at(pos)|0x20 != 'e' {
		return pos
	}
	digits := pos + 1
	if c := s.at(digits); c == '+' || c == '-' {
		digits++
	}
	if !s.digit(digits) {
		return pos
	}
	return s.digits(digits)
}

func (s *scanner) digits(pos int) int {
	for s.digit(pos) {
		pos++
	}
	return pos
}

func (s *scanner) digit(pos int) bool {
	c := s.at(pos)
	return '0' <= c && c <= '9'
}

func (s *scanner) word(w string) bool {
	if len(s.text)-s.pos < len(w) || string(s.text[s.pos:s.pos+len(w)]) != w {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *scanner) space() {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
	}
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) peek() byte { return s.at(s.pos) }

// at returns the byte at pos, or NUL at the end, because NUL is never valid.
func (s *scanner) at(pos int) byte {
	if pos >= len(s.text) {
		return 0
	}
	return s.text[pos]
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}
