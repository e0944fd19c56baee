package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// typeAt returns the type that the decoder fills at a path, or nil.
func typeAt(t reflect.Type, path string) reflect.Type {
	for name := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		if t = bare(t); t == nil {
			return nil
		}
		switch {
		case name == "":
		case t.Kind() == reflect.Struct:
			t = fieldOf(t, name)
		case t.Kind() == reflect.Map || t.Kind() == reflect.Slice:
			t = t.Elem()
		default:
			return nil
		}
	}
	return bare(t)
}

func bare(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func fieldOf(t reflect.Type, name string) reflect.Type {
	for f := range t.Fields() {
		if nameOf(f) == name {
			return f.Type
		}
	}
	return nil
}

func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// similarField names the field of the struct around path that its last name may
// be a misspelling of, and otherwise is empty.
func similarField(t reflect.Type, path string) (best string) {
	around, name, _ := cutLast(path)
	t = typeAt(t, around)
	if t == nil || t.Kind() != reflect.Struct {
		return ""
	}
	closest := 3 // edits or more are another word
	for f := range t.Fields() {
		if n := nameOf(f); n != "" && edits(name, n) < min(closest, len(n)) {
			best, closest = n, edits(name, n)
		}
	}
	return best
}

// cutLast cuts the last name off a path.
func cutLast(path string) (around, name string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:], i >= 0
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(before+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// form describes a valid value of the type.
func form(t reflect.Type) string {
	switch {
	case t == nil:
	case t == reflect.TypeFor[time.Time]():
		return "must be a time, as in 2027-01-01T00:00:00Z"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
	case t.Kind() == reflect.Bool:
		return "must be true or false"
	case t.Kind() == reflect.String:
		return "must be a text"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "must be a whole number"
	case t.Kind() == reflect.Float64:
		return "must be a number"
	case t.Kind() == reflect.Slice:
		return "must be a list, as in [a, b]"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "must hold fields, as in {name: value}"
	}
	return "has a value of the wrong form"
}

// plain explains in plain words why a file is not YAML. The decoder's own messages name
// its internals and may quote the file.
func plain(message string) string {
	for _, known := range []struct{ theirs, ours string }{
		{"no documents in stream", "the file is empty"},
		{"found multiple", "the file holds several documents, with --- between them: it may hold one only"},
		{"tab", "a tab is where only spaces may be: indent with spaces"},
		{"cannot start any token", "a tab or a special character begins a value: indent with spaces, and put the value into quotes"},
		{"expected ',' or ']'", "a list is not closed: a comma or ] is missing"},
		{"expected ',' or '}'", "a { is not closed: a comma or } is missing"},
		{"expected node content", "a [ or { is not closed, or a value is missing"},
		{"unexpected end of stream", "a quote is not closed"},
		{"mapping values are not allowed", "there is a second colon in a line, or a line is indented too far: put the value into quotes, or indent it like its neighbors"},
		{"expected key", "a line is not indented like its neighbors, or a colon is missing"},
		{"could not find expected ':'", "a colon is missing, as in name: value"},
		{"'-' indicator", "an item of a list is not indented like its neighbors"},
	} {
		if strings.Contains(message, known.theirs) {
			return known.ours
		}
	}
	return "the file is not YAML"
}

// WithLines adds the line to each error in err that begins with the path of a
// field and names no line. A field that is missing has the line of the fields
// around it.
func WithLines(text []byte, err error) error {
	if err == nil {
		return nil
	}
	return withLine(Lines(text), err)
}

func withLine(lines map[string]int, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, withLine(lines, e))
		}
		return errors.Join(all...)
	}
	path, _, ok := strings.Cut(err.Error(), ": ")
	if !ok || strings.Contains(path, " ") || strings.HasSuffix(err.Error(), ")") && strings.Contains(err.Error(), " (line ") {
		return err
	}
	for path != "" {
		if line, known := lines[path]; known {
			return fmt.Errorf("%w (line %d)", err, line)
		}
		path, _, _ = cutLast(path)
	}
	return err
}
