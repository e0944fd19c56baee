package custom

import (
	"strings"
	"unicode"

	"github.com/strongroom/strongroom/internal/secret"
)

// redacted is the mask that OpenHands prints in place of a value.
const redacted = "**********"

// ErrRedacted means that a sent value is blank or OpenHands' mask. Storing it would
// overwrite a secret with its own mask. It is a [secret.InvalidError].
var ErrRedacted error = &secret.InvalidError{Field: ValueKey, Reason: "must not be empty or redacted"}

// isRedacted reports whether a value is only white space, or exactly ten asterisks.
func isRedacted(value string) bool {
	return value == redacted || strings.TrimFunc(value, isBlank) == ""
}

// isBlank reports whether Python's str.strip removes the character, as OpenHands does:
// Unicode white space and the separators U+001C to U+001F.
func isBlank(r rune) bool { return unicode.IsSpace(r) || '\x1c' <= r && r <= '\x1f' }
