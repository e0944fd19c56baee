// Package strictyaml decodes hand-written YAML files. It reports every typo with
// the path of the field.
package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Decode decodes the file into a struct. Unknown fields, values of another type
// and fields without a value are errors, joined into one, each with its path and
// never with the value. Invalid YAML is a SyntaxError, and then nothing is decoded.
func Decode(text []byte, into any) error {
	err := yaml.Load(text, into, yaml.WithKnownFields())
	if err == nil {
		return errors.Join(withoutValue(text)...)
	}
	wrong, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		return syntaxError(err)
	}
	all := withoutValue(text)
	paths := pathsOf(text)
	for _, e := range wrong.Errors {
		switch path, ok := paths[place{e.Mark.Line, e.Mark.Column}]; {
		case ok && path == "":
			all = append(all, errors.New("the file does not hold fields, as in name: value"))
		case ok:
			all = append(all, fmt.Errorf("%s: %s (line %d)", path, inOurWords(e.Message, reflect.TypeOf(into), path), e.Mark.Line))
		default: // about the file as a whole
			all = append(all, errors.New(plain(e.Message)))
		}
	}
	return errors.Join(all...)
}

// withoutValue reports fields without a value. Treating such a field as absent
// would turn a limit whose value is commented out into no limit.
func withoutValue(text []byte) (all []error) {
	walk(text, func(n *yaml.Node, path string, isKey bool) {
		if path != "" && !isKey && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
			all = append(all, fmt.Errorf("%s: has no value: give it one, or leave it out (line %d)", path, n.Line))
		}
	})
	return all
}

// A SyntaxError means that the file is not YAML and nothing was decoded.
type SyntaxError struct{ error }

func syntaxError(err error) error {
	text := plain(err.Error())
	if at, ok := errors.AsType[*yaml.LoadError](err); ok && at.Mark.Line > 0 {
		text += fmt.Sprintf(" (line %d)", at.Mark.Line)
	}
	return &SyntaxError{errors.New(text)}
}

// inOurWords rewrites a decoder's message without Go types, and without text
// that may be a misplaced API key.
func inOurWords(message string, into reflect.Type, path string) string {
	switch {
	case strings.Contains(message, "not found in type"):
		if similar := similarField(into, path); similar != "" {
			return "there is no such field: did you mean " + similar + "?"
		}
		return "there is no such field"
	case strings.HasPrefix(message, "must be "): // a message of one of our types
		return message
	case strings.Contains(message, "already defined"):
		return "is there twice"
	default:
		return form(typeAt(into, path))
	}
}

type place struct{ line, column int }

// Lines maps each path, such as keys[0].grants[1], to the line on which its
// value begins.
func Lines(text []byte) map[string]int {
	lines := map[string]int{}
	walk(text, func(n *yaml.Node, path string, _ bool) {
		if line, known := lines[path]; !known || n.Line < line {
			lines[path] = n.Line
		}
	})
	return lines
}

// A Scalar is the place of a text or number in a file. Line and Column begin with 1;
// Column and Length count characters, quotes included.
type Scalar struct{ Line, Column, Length int }

// Scalars maps the path of each text or number to its place. The length is only right for
// one without line breaks and escapes.
func Scalars(text []byte) map[string]Scalar {
	scalars := map[string]Scalar{}
	walk(text, func(n *yaml.Node, path string, isKey bool) {
		if isKey || n.Kind != yaml.ScalarNode {
			return
		}
		length := utf8.RuneCountInString(n.Value)
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			length += len(`""`)
		}
		scalars[path] = Scalar{n.Line, n.Column, length}
	})
	return scalars
}

// pathsOf maps each position at which a key or value begins to its path. Where
// several begin, the innermost wins.
func pathsOf(text []byte) map[place]string {
	paths := map[place]string{}
	walk(text, func(n *yaml.Node, path string, _ bool) { paths[place{n.Line, n.Column}] = path })
	return paths
}

// walk calls fn with every node of the file and its path, outer nodes first. The
// key of a field has the field's path and comes after its value.
func walk(text []byte, fn func(n *yaml.Node, path string, isKey bool)) {
	var root yaml.Node
	if yaml.Load(text, &root) == nil {
		walkNode(&root, "", fn)
	}
}

func walkNode(n *yaml.Node, path string, fn func(*yaml.Node, string, bool)) {
	fn(n, path, false)
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.DocumentNode:
			walkNode(child, path, fn)
		case n.Kind == yaml.SequenceNode:
			walkNode(child, fmt.Sprintf("%s[%d]", path, i), fn)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			key := n.Content[i-1]
			inner := strings.TrimPrefix(path+"."+key.Value, ".")
			walkNode(child, inner, fn)
			fn(key, inner, true)
		}
	}
}
