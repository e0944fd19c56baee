// Package strictyaml reads files that people write by hand: a typo must be
// found, and said with the path of the field that the reader would search for.
package strictyaml

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Decode reads the file into a struct. Fields that it does not have, values of
// another type, and fields without a value are errors, all of them joined, each
// with its path and never with the value. What is not YAML at all is a
// SyntaxError, and then nothing was read.
func Decode(text []byte, into any) error {
	err := yaml.Load(text, into, yaml.WithKnownFields())
	if err == nil {
		return errors.Join(withoutValue(text)...)
	}
	wrong, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		return &SyntaxError{err}
	}
	all := withoutValue(text)
	paths := pathsOf(text)
	for _, e := range wrong.Errors {
		switch path, ok := paths[place{e.Mark.Line, e.Mark.Column}]; {
		case ok && path == "":
			all = append(all, errors.New("the file does not hold fields, as in name: value"))
		case ok:
			all = append(all, fmt.Errorf("%s: %s (line %d)", path, inOurWords(e.Message), e.Mark.Line))
		default: // about the file as a whole
			all = append(all, errors.New(strings.TrimPrefix(e.Message, "yaml: ")))
		}
	}
	return errors.Join(all...)
}

// withoutValue finds the fields that are there and say nothing. Read as if they
// were not there, a limit whose value is commented out would be no limit.
func withoutValue(text []byte) (all []error) {
	walk(text, func(n *yaml.Node, path string, isKey bool) {
		if path != "" && !isKey && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
			all = append(all, fmt.Errorf("%s: has no value: give it one, or leave it out (line %d)", path, n.Line))
		}
	})
	return all
}

// A SyntaxError means that nothing was read, so that nothing else can be said.
type SyntaxError struct{ error }

// inOurWords keeps Go's types out, and what may be a key in the wrong place.
func inOurWords(message string) string {
	switch {
	case strings.Contains(message, "not found in type"):
		return "there is no such field"
	case strings.Contains(message, "already defined"):
		return "is there twice"
	default:
		return "is not what can stand here"
	}
}

type place struct{ line, column int }

// Lines says in which line of the file the value at each path begins, as in
// keys[0].grants[1].
func Lines(text []byte) map[string]int {
	lines := map[string]int{}
	walk(text, func(n *yaml.Node, path string, _ bool) {
		if line, known := lines[path]; !known || n.Line < line {
			lines[path] = n.Line
		}
	})
	return lines
}

// pathsOf says which path begins where in the file: both keys and values, and
// of those that begin in one place the innermost.
func pathsOf(text []byte) map[place]string {
	paths := map[place]string{}
	walk(text, func(n *yaml.Node, path string, _ bool) { paths[place{n.Line, n.Column}] = path })
	return paths
}

// walk calls fn with every node of the file and its path, the outer before the
// inner ones, and the key of a field, which has its path, too, after its value.
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
