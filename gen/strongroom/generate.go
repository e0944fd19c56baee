// Package strongroom is generated from specs/merged/strongroom.json: the types of
// that document, an echo server that calls a StrictServerInterface, and the
// client that our commands use.
package strongroom

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/strongroom.json
