package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/speakeasy-api/openapi/overlay"
	"gopkg.in/yaml.v3"
)

// merge applies an optional overlay to a given document and returns indented
// JSON with keys in the order of the two files.
func merge(given, ours []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(given, &doc); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	before, err := toJSON(&doc)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if ours != nil {
		if err := apply(ours, &doc); err != nil {
			return nil, fmt.Errorf("applying the overlay: %w", err)
		}
	}
	after, err := toJSON(&doc)
	if err != nil {
		return nil, fmt.Errorf("applying the overlay: %w", err)
	}
	if err := check(before, after); err != nil {
		return nil, err
	}
	return indent(after)
}

// apply is strict: an action that matches nothing or changes nothing is an error.
func apply(ours []byte, doc *yaml.Node) error {
	o, err := overlay.ParseReader(bytes.NewReader(ours))
	if err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	warnings, err := o.ApplyToStrict(doc)
	if err != nil {
		return err
	}
	if len(warnings) > 0 {
		return errors.New(strings.Join(warnings, "; "))
	}
	return nil
}

// check compares the published JSON instead of its YAML source, so that no alternative
// YAML spelling gets past it.
func check(before, after []byte) error {
	var given, merged any
	if err := json.Unmarshal(before, &given); err != nil {
		return err
	}
	if err := json.Unmarshal(after, &merged); err != nil {
		return err
	}
	if err := onlyGrows(nil, given, merged); err != nil {
		return err
	}
	return secured(merged)
}

func indent(doc []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
