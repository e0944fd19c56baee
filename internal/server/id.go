package server

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
)

// newRequestID returns a unique id: 128 random bits in 26 characters. The id is
// not a secret, so it needs no cryptographic random numbers.
func newRequestID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) // #nosec G404 -- an id, not a secret
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) // #nosec G404 -- an id, not a secret
	return idDigits.EncodeToString(id[:])
}

var idDigits = base32.StdEncoding.WithPadding(base32.NoPadding)

// RequestID returns the id of the request that w answers. The id is also in its
// X-Request-ID header and in the audit log.
func RequestID(w http.ResponseWriter) string { return w.Header().Get("X-Request-Id") }
