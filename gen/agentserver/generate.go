// Package agentserver is generated from specs/merged/agentserver.json: the types of
// that document, an echo server that calls a StrictServerInterface, and a client.
package agentserver

//go:generate go tool -modfile=../../internal/tools/go.mod oapi-codegen -config cfg.yaml ../../specs/merged/agentserver.json
