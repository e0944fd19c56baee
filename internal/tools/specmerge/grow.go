package main

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// onlyGrows reports the first place at which merged differs from the given
// document by more than mayGain and mayReword allow. The given document is another
// project's contract: an overlay may add to it and explain it, never change it.
func onlyGrows(at path, given, merged any) error {
	switch given := given.(type) {
	case map[string]any:
		if merged, ok := merged.(map[string]any); ok {
			return mapGrows(at, given, merged)
		}
	case []any:
		if merged, ok := merged.([]any); ok {
			return listGrows(at, given, merged)
		}
	default:
		if reflect.DeepEqual(given, merged) || at.mayReword(merged) {
			return nil
		}
	}
	return fmt.Errorf("%v: the overlay changes what was given", at)
}

func mapGrows(at path, given, merged map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if _, kept := merged[key]; !kept {
			return fmt.Errorf("%v: the overlay removes what was given", at.to(key))
		}
		if err := onlyGrows(at.to(key), given[key], merged[key]); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		if _, old := given[key]; !old && !at.mayGain(key) && !at.to(key).mayReword(merged[key]) {
			return fmt.Errorf("%v: the overlay may not add this here", at.to(key))
		}
	}
	return nil
}

func listGrows(at path, given, merged []any) error {
	if at.matches("servers") { // the addresses of the given service; ours differ
		return nil
	}
	if len(merged) < len(given) {
		return fmt.Errorf("%v: the overlay removes what was given", at)
	}
	for i := range given {
		if err := onlyGrows(at.item(i), given[i], merged[i]); err != nil {
			return err
		}
	}
	for i := len(given); i < len(merged); i++ {
		header := at.matches("paths", "*", "*", "parameters") && optionalHeader(merged[i])
		if !header {
			return fmt.Errorf("%v: the overlay may not add this here", at.item(i))
		}
	}
	return nil
}

// mayGain reports whether an overlay may add this key here. Elsewhere an addition would
// change given requests or answers, for example by a new property or another way to
// authenticate.
func (p path) mayGain(key string) bool {
	switch {
	case p.matches("paths"), p.matches("components"), p.matches("components", "*"):
		return true
	case p.matches("paths", "*"):
		return slices.Contains(methods, key)
	case p.matches("paths", "*", "*", "responses"):
		return true
	case p.matches("paths", "*", "*", "responses", "*"):
		return key == "headers" || key == "content"
	}
	return false
}

// mayReword reports whether an overlay may replace the text here, because only readers
// use it: descriptions, and the addresses of the given service's login. If the value is
// not text, it is a property named description.
func (p path) mayReword(value any) bool {
	if _, text := value.(string); !text || len(p) == 0 {
		return false
	}
	if slices.ContainsFunc(p, func(key string) bool { return slices.Contains(data, key) }) {
		return false
	}
	switch last := p[len(p)-1]; last {
	case "description", "summary":
		return true
	case "authorizationUrl", "tokenUrl":
		return p.matches("components", "securitySchemes", "*", "flows", "*", last)
	}
	return false
}

// Below the keywords in data, all texts are data.
var data = []string{"const", "default", "enum", "example", "examples"}

// An optional header is the only parameter that existing clients may omit. A
// $ref is not resolved: write the parameter where it is used.
func optionalHeader(parameter any) bool {
	p, _ := parameter.(map[string]any)
	required, given := p["required"]
	return p["in"] == "header" && (!given || required == false)
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// A path leads to a place in a document.
type path []string

func (p path) to(key string) path { return append(slices.Clone(p), key) }

func (p path) item(i int) path { return p.to(fmt.Sprintf("[%d]", i)) }

// matches reports whether the path matches a pattern in which * is any key.
func (p path) matches(pattern ...string) bool {
	return slices.EqualFunc(p, pattern, func(key, want string) bool { return want == "*" || key == want })
}

var word = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// String is a JSON path: $.paths['/api/secrets'].get
func (p path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, key := range p {
		switch {
		case strings.HasPrefix(key, "["):
			b.WriteString(key)
		case word.MatchString(key):
			b.WriteString("." + key)
		default:
			b.WriteString("['" + key + "']")
		}
	}
	return b.String()
}
