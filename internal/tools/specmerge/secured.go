package main

import (
	"fmt"
	"maps"
	"slices"
)

// secured reports the first operation that somebody could call without a
// credential. The given documents start with `security: []`, so an operation
// that says nothing about security is open to everybody.
func secured(doc any) error {
	root, _ := doc.(map[string]any)
	paths, _ := root["paths"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		operations, _ := paths[name].(map[string]any)
		for _, method := range methods {
			operation, ok := operations[method].(map[string]any)
			if ok && !asksForCredential(operation["security"]) {
				return fmt.Errorf("%v: the operation asks for no credential", path{"paths", name, method})
			}
		}
	}
	return nil
}

// An empty alternative in the list would allow a call without any.
func asksForCredential(security any) bool {
	alternatives, _ := security.([]any)
	return len(alternatives) > 0 && !slices.ContainsFunc(alternatives, func(a any) bool {
		schemes, _ := a.(map[string]any)
		return len(schemes) == 0
	})
}
