// Package vault is generated from specs/merged/vault.json: the types of that document and
// an echo server that calls a StrictServerInterface.
package vault

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/vault.json
