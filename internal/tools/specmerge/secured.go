package main

import (
	"fmt"
	"maps"
	"slices"
)

// secured reports the first operation that needs no credential. The given
// documents start with `security: []`, so an operation without a security
// requirement of its own is public.
func secured(doc any) error {
	root, _ := doc.(map[string]any)
	paths, _ := root["paths"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		operations, _ := paths[name].(map[string]any)
		for _, method := range methods {
			operation, ok := operations[method].(map[string]any)
			if ok && !asksForCredential(operation["security"]) {
				return fmt.Errorf("%v: the operation requires no credential", path{"paths", name, method})
			}
		}
	}
	return nil
}

// An empty alternative in the list would allow a call without a credential.
func asksForCredential(security any) bool {
	alternatives, _ := security.([]any)
	return len(alternatives) > 0 && !slices.ContainsFunc(alternatives, func(a any) bool {
		schemes, _ := a.(map[string]any)
		return len(schemes) == 0
	})
}
