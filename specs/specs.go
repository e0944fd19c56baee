// Package specs holds the API documents that the server publishes under /openapi/.
//
// openhands.yaml and nx1.yaml are published by other projects and are never edited.
// overlay/*.yaml adds missing operations and answers to them, and our descriptions.
// The other documents are ours and complete. `make generate` writes all of them to
// merged/*.json, which is embedded here and from which the code in gen/ is generated.
// overlay/*-names.yaml names operations for the generated code only.
package specs

import _ "embed"

//go:generate go run -C ../internal/tools ./specmerge ../../specs openhands nx1 agentserver openhandsv1 sandbox vault strongroom

// OpenHands is the document of OpenHands' custom secrets, in JSON.
//
//go:embed merged/openhands.json
var OpenHands []byte

// AgentServer is the document of the secrets of OpenHands' agent server, in JSON.
//
//go:embed merged/agentserver.json
var AgentServer []byte

// OpenHandsV1 is the document of the custom secrets of OpenHands' V1 API, in
// JSON.
//
//go:embed merged/openhandsv1.json
var OpenHandsV1 []byte

// Sandbox is the document of the routes that OpenHands' sandboxes read, in JSON.
//
//go:embed merged/sandbox.json
var Sandbox []byte

// Nx1 is the document of Nx1's app secrets, in JSON.
//
//go:embed merged/nx1.json
var Nx1 []byte

// Vault is the document of the secrets for Vault's clients, in JSON.
//
//go:embed merged/vault.json
var Vault []byte

// Strongroom is the document of our own administration, in JSON.
//
//go:embed merged/strongroom.json
var Strongroom []byte
