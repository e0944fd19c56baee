package server

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
)

// newRequestID returns an id that no other request has: 128 random bits in 26
// characters. It is no secret, so it need not be a cryptographer's random.
func newRequestID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) // #nosec G404 -- an id, not a secret
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) // #nosec G404 -- an id, not a secret
	return idDigits.EncodeToString(id[:])
}

var idDigits = base32.StdEncoding.WithPadding(base32.NoPadding)

// RequestID returns the id of the request that this answers, which is also its
// X-Request-ID header and stands in the audit log.
func RequestID(w http.ResponseWriter) string { return w.Header().Get("X-Request-Id") }
