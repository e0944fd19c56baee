package custom

import (
	"strings"
	"unicode"

	"github.com/strongroom/strongroom/internal/secret"
)

// redacted is what OpenHands prints in the place of a value that it hides.
const redacted = "**********"

// ErrRedacted means that what was sent as a value is blank, or is what OpenHands prints in
// the place of one: storing it would overwrite a secret with its own mask. It is a
// [secret.InvalidError].
var ErrRedacted error = &secret.InvalidError{Field: ValueKey, Reason: "must not be empty or redacted"}

// isRedacted reports whether a value is only white space, or exactly ten asterisks.
func isRedacted(value string) bool {
	return value == redacted || strings.TrimFunc(value, isBlank) == ""
}

// isBlank is what Python's str.strip takes off, as OpenHands does: the separators U+001C to
// U+001F besides what Unicode calls white space.
func isBlank(r rune) bool { return unicode.IsSpace(r) || '\x1c' <= r && r <= '\x1f' }
