// Package nx1 is generated from specs/merged/nx1.json: the types of
// that document, an echo server that calls a StrictServerInterface, and a client.
package nx1

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/nx1.json
