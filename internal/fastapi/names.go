package fastapi

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// names holds the member names that one object has so far. The few names of an ordinary
// object need no allocation. The map keeps lookups fast for objects with thousands.
type names struct {
	few  [8][]byte
	n    int
	many map[string]struct{}
}

// add reports whether the name is new.
func (s *names) add(name []byte) bool {
	if s.many != nil {
		_, known := s.many[string(name)]
		s.many[string(name)] = struct{}{}
		return !known
	}
	for _, known := range s.few[:s.n] {
		if bytes.Equal(known, name) {
			return false
		}
	}
	if s.n == len(s.few) {
		s.grow()
		return s.add(name)
	}
	s.few[s.n] = name
	s.n++
	return true
}

func (s *names) grow() {
	s.many = make(map[string]struct{}, 4*len(s.few))
	for _, name := range s.few {
		s.many[string(name)] = struct{}{}
	}
}

// unquote returns the text of a JSON string, which must be valid.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	// AppendUnquote fails only for strings that the scanner has already rejected.
	name, _ := jsontext.AppendUnquote(nil, quoted)
	return name
}
