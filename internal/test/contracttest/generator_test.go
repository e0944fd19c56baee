package contracttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf16"
)

// A generator creates bodies that match a schema, or nearly: each part has a small chance of
// being something else. The result is always JSON without duplicate names.
type generator struct {
	*rand.Rand
	tree map[string]any // the document, for references
}

// An object keeps the order of its members. The order must not matter, so it varies.
type object []member

type member struct {
	name  string
	value any
}

func (g *generator) body(schema map[string]any) string {
	var b strings.Builder
	g.write(&b, g.value(schema))
	return g.space() + b.String() + g.space()
}

func (g *generator) odd() bool { return g.IntN(12) == 0 }

func (g *generator) value(schema map[string]any) any {
	if g.odd() {
		return g.anything(0)
	}
	if ref, ok := schema["$ref"].(string); ok {
		return g.value(dig(g.tree, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	if either, ok := schema["anyOf"].([]any); ok {
		return g.value(either[g.IntN(len(either))].(map[string]any))
	}
	switch schema["type"] {
	case "string":
		return g.string()
	case "null":
		return nil
	case "array":
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value(schema["items"].(map[string]any))
		}
		return list
	case "object":
		return g.object(schema)
	}
	panic(fmt.Sprintf("the generator does not know %v", schema))
}

func (g *generator) object(schema map[string]any) object {
	var o object
	required, _ := schema["required"].([]any)
	properties := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) { // sorted, or a seed would not repeat
		if g.odd() || !slices.Contains(required, any(name)) && g.IntN(2) == 0 {
			continue
		}
		value := g.value(properties[name].(map[string]any))
		if g.IntN(80) == 0 {
			name = strings.ToUpper(name)
		}
		o = o.with(name, value)
	}
	for range g.IntN(3) {
		o = o.with(g.string(), g.anything(0))
	}
	g.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
	return o
}

func (o object) with(name string, value any) object {
	if slices.ContainsFunc(o, func(m member) bool { return m.name == name }) {
		return o
	}
	return append(o, member{name, value})
}

func (g *generator) anything(depth int) any {
	kinds := 9
	if depth > 3 {
		kinds = 7 // kinds without nesting
	}
	switch g.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2, 3:
		numbers := []string{"0", "-0", "7", "-1.5", "1e400", "2.50E-3", "123456789012345678901234567890"}
		return json.Number(numbers[g.IntN(len(numbers))])
	case 7:
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.anything(depth + 1)
		}
		return list
	case 8:
		var o object
		for range g.IntN(4) {
			o = o.with(g.string(), g.anything(depth+1))
		}
		return o
	}
	return g.string()
}

// string returns strings that include member names, to put them in the wrong place.
func (g *generator) string() string {
	all := []string{
		"", "a", "key", "value", "name", "data", "description", "Name", "name ", "secret_name", "null", "{}",
		"é", "漢字", "😀", "e\u0301", "\u2028", "\x00", "\"", "\\", "\n", "]},:[{", "\ufeff", "\ufffd", "\uffff", strings.Repeat("x", 300),
	}
	return all[g.IntN(len(all))]
}

func (g *generator) space() string {
	return []string{"", "", "", " ", "\n", "\t \r\n"}[g.IntN(6)]
}

func (g *generator) write(b *strings.Builder, value any) {
	switch value := value.(type) {
	case string:
		g.quote(b, value)
	case []any:
		g.list(b, '[', ']', len(value), func(i int) { g.write(b, value[i]) })
	case object:
		g.list(b, '{', '}', len(value), func(i int) {
			g.quote(b, value[i].name)
			b.WriteString(g.space() + ":" + g.space())
			g.write(b, value[i].value)
		})
	default:
		text, err := json.Marshal(value)
		if err != nil {
			panic(err) // null, bools and the numbers above have a form in JSON
		}
		b.Write(text)
	}
}

func (g *generator) list(b *strings.Builder, open, end byte, n int, item func(i int)) {
	b.WriteByte(open)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(g.space())
		item(i)
		b.WriteString(g.space())
	}
	b.WriteByte(end)
}

// quote escapes the necessary characters and sometimes others.
func (g *generator) quote(b *strings.Builder, s string) {
	if g.IntN(8) > 0 {
		text, err := json.Marshal(s)
		if err != nil {
			panic(err) // every string has a form in JSON
		}
		b.Write(text)
		return
	}
	b.WriteByte('"')
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(b, `\u%04x`, unit)
	}
	b.WriteByte('"')
}
