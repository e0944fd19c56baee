package server

import (
	"net/http"
	"slices"
	"strings"
)

// CORS response headers for pages of allowed origins (Fetch standard, section
// 3.2, CORS protocol).
const (
	corsMethods      = "GET, POST, PUT, DELETE"
	corsExposed      = "ETag, Retry-After, X-Request-Id, X-Strongroom-Warning"
	corsMaxAge       = "600" // seconds
	corsMaxRequested = 1024  // maximum length of Access-Control-Request-Headers, in bytes
)

// CORS lets web pages of these origins use the API. Each origin is written as a
// browser sends it. CORS answers their preflight requests, which never carry a
// credential, and passes all other requests to the API. Pages of other origins
// get no CORS headers. Without origins it returns the API itself.
func CORS(origins []string, api http.Handler) http.Handler {
	if len(origins) == 0 {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		sent := r.Header.Values("Origin")
		if len(sent) != 1 || !slices.Contains(origins, sent[0]) {
			api.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", sent[0])
		h.Set("Access-Control-Allow-Credentials", "true")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			preflight(w, r)
			return
		}
		h.Set("Access-Control-Expose-Headers", corsExposed)
		api.ServeHTTP(w, r)
	})
}

// preflight allows all methods of the APIs and all requested headers: OpenHands
// allows any header, and its clients send various ones.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	Identify(h)
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if asked := r.Header.Get("Access-Control-Request-Headers"); fieldNames(asked) {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	w.WriteHeader(http.StatusNoContent)
}

// fieldNames reports whether list consists of valid header names (RFC 9110,
// section 5.1), so that no other text is sent back.
func fieldNames(list string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // #nosec G101 -- the characters of a header name
	return list != "" && len(list) <= corsMaxRequested && strings.Trim(list, token+", ") == ""
}
