package server

import (
	"crypto/rand"
	"net/http"
)

// newRequestID returns an id that no other request has: 26 characters.
func newRequestID() string { return rand.Text() }

// RequestID returns the id of the request that this answers, which is also its
// X-Request-ID header and stands in the audit log.
func RequestID(w http.ResponseWriter) string { return w.Header().Get("X-Request-Id") }
