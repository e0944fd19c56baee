// Package specs holds the documents that Strongroom serves, as its users read
// them under /openapi/.
//
// openhands.yaml and nx1.yaml are documents as they were given and are never
// edited; overlay/*.yaml adds the operations and answers that they leave out. The
// others are ours: of OpenHands' newer APIs what is served here, in full.
// `make generate` writes all of them to merged/*.json, which is embedded here and
// is what the code in gen/ is generated from. overlay/*-names.yaml names the
// operations for that code and does not show in a merged document.
package specs

import _ "embed"

//go:generate go run -C ../internal/tools ./specmerge ../../specs openhands nx1 agentserver openhandsv1 sandbox strongroom

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

// Strongroom is the document of our own administration, in JSON.
//
//go:embed merged/strongroom.json
var Strongroom []byte
