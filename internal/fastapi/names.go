package fastapi

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// names are the names that one object has so far. Objects as the documents describe them
// have a few, which cost no allocation; the map is for those who send thousands.
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

// unquote returns what a JSON string says. The string must be valid.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	// The only error is about strings that the scanner has refused already.
	name, _ := jsontext.AppendUnquote(nil, quoted)
	return name
}
