// Package specs holds the documents that Strongroom serves, as its users read
// them under /openapi/.
//
// Each of the first two is made of two files. openhands.yaml and nx1.yaml are the
// documents as they were given and are never edited; overlay/*.yaml adds the
// operations and answers that they leave out. `make generate` merges both into
// merged/*.json, which is embedded here and is what the code in gen/ is
// generated from. overlay/*-names.yaml names the operations for that code and
// does not show in a merged document.
package specs

import _ "embed"

//go:generate go run -C ../internal/tools ./specmerge ../../specs openhands nx1 strongroom

// OpenHands is the document of OpenHands' custom secrets, in JSON.
//
//go:embed merged/openhands.json
var OpenHands []byte

// Nx1 is the document of Nx1's app secrets, in JSON.
//
//go:embed merged/nx1.json
var Nx1 []byte

// Strongroom is the document of our own administration, in JSON.
//
//go:embed merged/strongroom.json
var Strongroom []byte
