// Package openhands is generated from specs/merged/openhands.json: the types of
// that document, an echo server that calls a StrictServerInterface, and a client.
package openhands

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/openhands.json
