// Package openhandsv1 is generated from specs/merged/openhandsv1.json: the types of
// that document and an echo server that calls a StrictServerInterface.
package openhandsv1

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/openhandsv1.json
