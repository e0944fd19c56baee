// Specmerge writes the documents that Strongroom serves. For every name it merges
// the given DIR/name.yaml with our DIR/overlay/name.yaml, if it exists, and
// writes DIR/merged/name.json:
//
//	specmerge DIR name...
//
// It writes nothing if the overlay changes anything but descriptions in the given
// document (see grow.go), or if an operation needs no credential (see secured.go).
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: specmerge DIR name...")
		os.Exit(2)
	}
	for _, name := range os.Args[2:] {
		if err := run(os.Args[1], name); err != nil {
			fmt.Fprintf(os.Stderr, "specmerge: merging %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func run(dir, name string) error {
	given, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
	if err != nil {
		return err
	}
	ours, err := os.ReadFile(filepath.Join(dir, "overlay", name+".yaml"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	merged, err := merge(given, ours)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "merged", name+".json")
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, merged, 0o644)
}
