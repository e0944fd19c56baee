// Package sandbox is generated from specs/merged/sandbox.json: the types of
// that document and an echo server that calls a StrictServerInterface.
package sandbox

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/sandbox.json
