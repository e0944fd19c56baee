// Package strictyaml reads files that people write by hand: a typo must be
// found, and said with the path of the field that the reader would search for.
package strictyaml

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Decode reads the file into a struct. Fields that it does not have, and
// values of another type, are errors, all of them joined, each with its path
// and never with the value. What is not YAML at all is a SyntaxError, and then
// nothing was read.
func Decode(text []byte, into any) error {
	err := yaml.Load(text, into, yaml.WithKnownFields())
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		return &SyntaxError{err}
	}
	var all []error
	paths := pathsOf(text)
	for _, e := range wrong.Errors {
		if path, ok := paths[place{e.Mark.Line, e.Mark.Column}]; ok {
			all = append(all, fmt.Errorf("%s: %s (line %d)", path, inOurWords(e.Message), e.Mark.Line))
		} else { // about the file as a whole
			all = append(all, errors.New(strings.TrimPrefix(e.Message, "yaml: ")))
		}
	}
	return errors.Join(all...)
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

// pathsOf says which path begins where in the file: both keys and values.
func pathsOf(text []byte) map[place]string {
	paths := map[place]string{}
	var root yaml.Node
	if yaml.Load(text, &root) == nil {
		notePaths(paths, &root, "")
	}
	return paths
}

func notePaths(paths map[place]string, n *yaml.Node, path string) {
	paths[place{n.Line, n.Column}] = path
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.DocumentNode:
			notePaths(paths, child, path)
		case n.Kind == yaml.SequenceNode:
			notePaths(paths, child, fmt.Sprintf("%s[%d]", path, i))
		case n.Kind == yaml.MappingNode && i%2 == 1:
			key := n.Content[i-1]
			inner := strings.TrimPrefix(path+"."+key.Value, ".")
			notePaths(paths, child, inner)
			paths[place{key.Line, key.Column}] = inner
		}
	}
}
