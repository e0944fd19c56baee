package server

import (
	"errors"
	"net/http"
	"strings"
)

// ErrPrecondition means that an If-Match header is neither a single entity tag
// nor an asterisk, and so cannot be compared.
var ErrPrecondition = errors.New("If-Match must be one strong entity tag or *")

// ETag returns the strong entity tag of a revision (RFC 9110, section 8.8.3).
func ETag(revision string) string { return `"` + revision + `"` }

// SetETag sets the entity tag of the revision. It uses the map key that
// net/http canonicalizes to, which saves the conversion.
func SetETag(h http.Header, revision string) { h["Etag"] = []string{ETag(revision)} }

// IfMatch returns the revision in an If-Match header, "*" for any revision, and
// "" without the header. A weak tag counts as the strong one: Strongroom sends
// strong tags only, and a proxy that compresses answers makes them weak. Error:
// ErrPrecondition, also for a list of tags.
func IfMatch(header *string) (revision string, err error) {
	if header == nil {
		return "", nil
	}
	tag := strings.TrimSpace(*header)
	if tag == "*" {
		return tag, nil
	}
	inner, quoted := strings.CutPrefix(strengthened(tag), `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	if !quoted || !closed || inner == "" || strings.ContainsAny(inner, `",* `) {
		return "", ErrPrecondition
	}
	return inner, nil
}

// strengthened removes the prefix of a weak tag, which is case-sensitive (RFC
// 9110, section 8.8.3).
func strengthened(tag string) string { return strings.TrimPrefix(tag, "W/") }

// NoneMatch reports whether an If-None-Match header allows an answer with this
// revision. If it does not, the client already has that revision. Tags are
// compared weakly, as RFC 9110, section 13.1.2 requires, and a malformed tag
// matches no revision.
func NoneMatch(header *string, revision string) bool {
	if header == nil {
		return true
	}
	etag := ETag(revision)
	for tag := range strings.SplitSeq(*header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strengthened(tag) == etag {
			return false
		}
	}
	return true
}
