package secret

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values of fewer than shortBytes bytes are suspicious. Agents mask values in their
// output, and a short value such as true or 1 occurs everywhere.
const shortBytes = 6

// Warnings about suspicious values and names. Each says how to fix it, and quotes
// nothing.
const (
	endsWithNewline  = "ends with a newline: leave it out"
	endsWithNewlines = "ends with several newlines: leave them out"
	hasBlanks        = "begins or ends with a blank: leave it out"
	hasReturns       = "has carriage returns: save it with Unix line endings"
	hasByteOrderMark = "begins with a byte order mark: save it as UTF-8 without one"
	hasInvisible     = "has invisible characters: type it anew instead of copying it"
	isQuoted         = "is in quotes: leave them out"
	beginsWithName   = "begins with a name and =: send only the value behind it"
	isMaskedInPart   = "looks masked in part: send the whole value"
	isPlaceholder    = "looks like a placeholder: send the real value"
	isShort          = "is shorter than 6 bytes: agents will mask it in everything they print"
	pemEscaped       = "is a PEM file with escaped line breaks: send real ones"
	pemOneLine       = "is a PEM file on one line: send it with its line breaks"
	pemCut           = "is a PEM file without its last line: send the whole file"
	hasOddName       = "has a blank or an equals sign, so it cannot be an environment variable: use letters, digits and underscores"
)

// suspicions are in the order in which they are reported.
var suspicions = []struct {
	reason string
	found  func(text string) bool
}{
	{endsWithNewline, func(text string) bool {
		return strings.HasSuffix(text, "\n") && lines(text) == 1 && newlines(text) == 1
	}},
	{endsWithNewlines, func(text string) bool { return newlines(text) > 1 }},
	{hasBlanks, func(text string) bool {
		line := strings.TrimRight(text, "\r\n")
		return strings.TrimSpace(line) != line
	}},
	{hasReturns, func(text string) bool { return strings.Contains(text, "\r") }},
	{hasByteOrderMark, func(text string) bool { return strings.HasPrefix(text, byteOrderMark) }},
	{hasInvisible, func(text string) bool {
		return strings.ContainsFunc(strings.TrimPrefix(text, byteOrderMark), invisible)
	}},
	{isQuoted, func(text string) bool { return quoted(strings.TrimSpace(text)) }},
	{beginsWithName, func(text string) bool {
		return lines(text) == 1 && strings.Contains(text, "=") && assignment.MatchString(strings.TrimSpace(text))
	}},
	{pemEscaped, func(text string) bool { return isPEM(text) && strings.Contains(text, `\n`) }},
	{pemOneLine, func(text string) bool { return isPEM(text) && lines(text) == 1 && !strings.Contains(text, `\n`) }},
	{pemCut, func(text string) bool {
		return isPEM(text) && strings.Count(text, pemBegin) != strings.Count(text, "-----END ")
	}},
	{isPlaceholder, func(text string) bool { return matches(placeholder, text) }},
	{isMaskedInPart, func(text string) bool {
		return hasMask(text) && matches(partlyMasked, text) && !matches(placeholder, text)
	}},
	{isShort, func(text string) bool { return len(strings.TrimSpace(text)) < shortBytes }},
}

// Suspicions returns the reasons why a value looks like a mistake, each with a remedy
// and without the value. A newline at the end of several lines is not suspicious,
// because key files end with one. Bytes that are not UTF-8 are suspicious only if short.
func Suspicions(v Value) (reasons []string) {
	text := string(v)
	for _, s := range suspicions {
		if (s.reason == isShort || utf8.ValidString(text)) && s.found(text) {
			reasons = append(reasons, s.reason)
		}
	}
	return reasons
}

// NameSuspicions is Suspicions for the name of a secret.
func NameSuspicions(name string) []string {
	if strings.ContainsFunc(name, func(r rune) bool { return r == '=' || unicode.IsSpace(r) }) {
		return []string{hasOddName}
	}
	return nil
}

// placeholder matches common placeholders: a well-known word, your-key-here, <key>,
// ${KEY}, {{ key }}, or only x, dots or asterisks.
var placeholder = regexp.MustCompile(`^(?i:change[-_ ]?me|placeholder|todo|tbd|fixme|secret|password|example|redacted|none|null|undefined|` +
	`(?:your|my|insert)[-_ ].*(?:here|key|token|secret|password)|<.*>|\$\{.*\}|\{\{.*\}\}|x+|\*+|\.+|•+)$`)

// partlyMasked matches values that a tool has masked: sk-****abcd, ghp_••••, sk-...abcd.
var partlyMasked = regexp.MustCompile(`^\S*(?:\*{3,}|•{3,})\S*$|^[A-Za-z0-9]+[-_][A-Za-z0-9_-]*(?:\.{3}|…)[A-Za-z0-9_-]{2,}$`)

// hasMask is true for all texts that partlyMasked matches. Few values have a mask, and the
// expression takes much longer.
func hasMask(text string) bool {
	return slices.ContainsFunc([]string{"***", "•••", "...", "…"}, func(mask string) bool { return strings.Contains(text, mask) })
}

// longest limits the texts that are matched against a whole expression, in bytes.
const longest = 64

func matches(expression *regexp.Regexp, text string) bool {
	return len(text) <= longest && expression.MatchString(strings.TrimSpace(text))
}

// assignment matches a line of an .env file, but neither padded base32 nor a connection
// string such as SERVER=db;PWD=x.
var assignment = regexp.MustCompile(`^(?:export\s+)?[A-Z][A-Z0-9_]+=[^=;\s][^;]*$`)

const (
	byteOrderMark = "\uFEFF"
	pemBegin      = "-----BEGIN "
)

func isPEM(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), pemBegin) }

// lines counts the lines, without empty ones at the beginning and the end.
func lines(text string) int { return strings.Count(strings.Trim(text, "\r\n"), "\n") + 1 }

// newlines counts the newlines at the end.
func newlines(text string) int {
	return strings.Count(text[len(strings.TrimRight(text, "\r\n")):], "\n")
}

// invisible reports whether r is a character without width that belongs to no script.
// Text copied from web pages and chats often has such characters.
func invisible(r rune) bool {
	return r == '\u00AD' || r >= '\u200B' && r <= '\u200F' || r >= '\u202A' && r <= '\u202E' || r >= '\u2060' && r <= '\u2064' || r == '\uFEFF'
}

// quoted reports whether the whole text is in one pair of quotes.
func quoted(text string) bool {
	for _, pair := range []struct{ open, end string }{{`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"‘", "’"}} {
		inner, opened := strings.CutPrefix(text, pair.open)
		inner, ended := strings.CutSuffix(inner, pair.end)
		if opened && ended && !strings.Contains(inner, pair.open) {
			return true
		}
	}
	return false
}
