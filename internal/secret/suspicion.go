package secret

import (
	"regexp"
	"strings"
)

// shortBytes is from where on a value is no longer very short. Agents hide values
// in what they print by replacing them, and a true or a 1 is everywhere.
const shortBytes = 6

// longestPlaceholder bounds what is looked at.
const longestPlaceholder = 64

// placeholder is what people write where a value belongs: a well-known word,
// your-key-here, <key>, ${KEY}, {{ key }}, or nothing but x, dots or asterisks.
var placeholder = regexp.MustCompile(`^(?i:change[-_ ]?me|placeholder|todo|tbd|fixme|secret|password|example|redacted|none|null|undefined|` +
	`(?:your|my|insert)[-_ ].*(?:here|key|token|secret|password)|<.*>|\$\{.*\}|\{\{.*\}\}|x+|\*+|\.+|•+)$`)

// Suspicions says what makes a value look like a mistake, and never what it is.
// A newline at the end of several lines is none: files of keys end so.
func Suspicions(v Value) (reasons []string) {
	text := string(v)
	line, ended := strings.CutSuffix(text, "\n")
	if ended && !strings.Contains(line, "\n") {
		reasons = append(reasons, "ends with a newline")
	}
	if len(text) <= longestPlaceholder && placeholder.MatchString(strings.TrimSpace(text)) {
		reasons = append(reasons, "looks like a placeholder")
	}
	if len(strings.TrimSpace(text)) < shortBytes {
		reasons = append(reasons, "is shorter than 6 bytes")
	}
	return reasons
}
