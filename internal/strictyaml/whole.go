package strictyaml

import (
	"bytes"
	"errors"
)

var (
	errNoNewline = errors.New("the file does not end with a newline, so its end may be missing: " +
		"add one, and replace the file by renaming a new one rather than by writing in place")
	errNoEnd = errors.New("the file begins with --- and does not end with the line ..., so its end may be missing: add that line")
)

// DecodeFile is [Decode] for the content of a file, of which it does not read a
// part: one that is being written, or was cut off, can say something else than
// the whole. A file must end with a newline. One that begins with the line ---
// (comments may come before it) must end with the line ... as well, YAML's end
// of a document, so that it is refused wherever it is cut off. An error about
// this is a SyntaxError.
func DecodeFile(text []byte, into any) error {
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		return &SyntaxError{errNoNewline}
	}
	if begins(text) && !bytes.HasSuffix(text, []byte("\n...\n")) {
		return &SyntaxError{errNoEnd}
	}
	return Decode(text, into)
}

// begins reports whether the first line that is not a comment marks the beginning of a
// document.
func begins(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return string(line) == "---"
		}
	}
	return false
}
