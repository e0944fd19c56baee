package server

import (
	"errors"
	"net/http"
	"strings"
)

// ErrPrecondition means that an If-Match header is neither one entity tag nor an
// asterisk, and so cannot be compared.
var ErrPrecondition = errors.New("If-Match must be one strong entity tag or *")

// ETag returns the strong entity tag of a revision (RFC 9110, section 8.8.3).
func ETag(revision string) string { return `"` + revision + `"` }

// SetETag gives an answer the entity tag of the revision, in the form of the
// key that needs no conversion.
func SetETag(h http.Header, revision string) { h["Etag"] = []string{ETag(revision)} }

// IfMatch returns the revision that an If-Match header asks for, * for any,
// and nothing if there is no such header. A weak tag counts as the strong one: we
// send strong tags only, and a proxy that compresses answers weakens them, so
// that it is still ours. Error: ErrPrecondition, also for a list of tags.
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

// strengthened is the tag without the mark of a weak one, which is case-sensitive
// (RFC 9110, section 8.8.3).
func strengthened(tag string) string { return strings.TrimPrefix(tag, "W/") }

// NoneMatch reports whether an If-None-Match header admits an answer of this
// revision; if not, the client has it already. Tags are compared weakly, as
// RFC 9110, section 13.1.2 asks, and a malformed one matches nothing.
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
