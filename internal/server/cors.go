package server

import (
	"net/http"
	"slices"
	"strings"
)

// What a page of an allowed origin may ask for and see (Fetch standard, section
// 3.2, CORS protocol).
const (
	corsMethods  = "GET, POST, PUT, DELETE"
	corsExposed  = "ETag, Retry-After, X-Request-Id, X-Strongroom-Warning"
	corsMaxAge   = "600" // seconds
	corsMostAsks = 1024  // bytes of the names of headers
)

// CORS lets web pages of these origins, each as a browser sends it, use the API.
// Their preflights, which never have a credential, are answered here; everything
// else the API sees, and for pages of other origins it is as if there was no
// CORS. Without origins it is the API itself.
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

// preflight allows all methods that there are, and the headers that are asked
// for: OpenHands allows any, and clients of its send various.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	identified(h)
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if asked := r.Header.Get("Access-Control-Request-Headers"); fieldNames(asked) {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	w.WriteHeader(http.StatusNoContent)
}

// fieldNames reports whether it is a list of what can be the names of headers
// (RFC 9110, section 5.1), so that nothing else is sent back.
func fieldNames(list string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // #nosec G101 -- the characters of a header name
	return list != "" && len(list) <= corsMostAsks && strings.Trim(list, token+", ") == ""
}
