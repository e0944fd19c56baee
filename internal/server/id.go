package server

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/http"

	"github.com/labstack/echo/v4"
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

// An identifiedWriter carries the id through the echo context. Its values would
// need a map for each request.
type identifiedWriter struct {
	http.ResponseWriter
	id string
}

// Unwrap implements the unwrapping of http.ResponseController.
func (w identifiedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// RequestID returns the id of the request, which is also in the X-Request-Id
// header of its answer and in the audit log; empty if the request did not come
// through [NewEcho]. It does not depend on the header, which handlers can change.
func RequestID(c echo.Context) string {
	w, _ := c.Response().Writer.(identifiedWriter)
	return w.id
}
