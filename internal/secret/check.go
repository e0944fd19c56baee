package secret

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of one secret. Values and keys are Kubernetes' own limits, kept on
// every store so that a secret can move.
const (
	MaxNameBytes        = 256
	MaxDescriptionBytes = 16 << 10
	MaxValueBytes       = 1 << 20 // of all values together (MaxSecretSize)
	MaxKeys             = 1000
	MaxKeyBytes         = 253
)

// CheckName returns an InvalidError unless the name is legal: 1 to 256 bytes of
// UTF-8 without control characters and slashes, and not . or .., so that it can be a
// path segment. An API may be stricter.
func CheckName(name string) error {
	switch {
	case name == "":
		return invalidName("must not be empty")
	case len(name) > MaxNameBytes:
		return invalidName("must not be longer than 256 bytes")
	case !utf8.ValidString(name):
		return invalidName("must be UTF-8")
	case name == "." || name == "..":
		return invalidName("must not be a dot or two")
	case strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return invalidName("must not contain slashes or control characters")
	}
	return nil
}

func invalidName(reason string) error { return &InvalidError{Field: "name", Reason: reason} }

// CheckKey returns an InvalidError unless the data key is legal in a Kubernetes
// Secret: 1 to 253 characters of A-Z a-z 0-9 - _ and dot, not a single dot and not
// starting with two (IsConfigMapKey). The error does not quote the data key, which
// may be a misplaced value.
func CheckKey(key string) error {
	illegal := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}
	switch {
	case key == "":
		return invalidKey("must not be empty")
	case len(key) > MaxKeyBytes:
		return invalidKey("must not be longer than 253 characters")
	case strings.ContainsFunc(key, illegal):
		return invalidKey("must consist of letters, digits, '-', '_' and '.'")
	case key == "." || strings.HasPrefix(key, ".."):
		return invalidKey("must not be '.' or start with '..'")
	}
	return nil
}

func invalidKey(reason string) error { return &InvalidError{Field: "key", Reason: reason} }

// CheckDescription returns an InvalidError unless the text is a legal description: UTF-8
// of at most 16 KiB.
func CheckDescription(description string) error {
	if len(description) > MaxDescriptionBytes || !utf8.ValidString(description) {
		return &InvalidError{Field: "description", Reason: "must be UTF-8 of at most 16 KiB"}
	}
	return nil
}

func (c Change) checkDescription() error {
	if c.Description == nil {
		return nil
	}
	return CheckDescription(*c.Description)
}

// checkData checks a secret's content as a whole. It does not count values that a
// change keeps, because only the store knows their size.
func checkData(set map[string]Value, keep ...string) error {
	for _, key := range keep {
		if err := CheckKey(key); err != nil {
			return err
		}
		if _, both := set[key]; both {
			return &InvalidError{Field: "data", DataKey: key, Reason: "must not be both set and kept"}
		}
	}
	size := 0
	for key, value := range set {
		if err := CheckKey(key); err != nil {
			return err
		}
		size += len(value)
	}
	return CheckSize(size, len(set)+len(keep))
}

// CheckSize returns an InvalidError if a secret with this many bytes of values and
// this many data keys is too large.
func CheckSize(values, keys int) error {
	switch {
	case keys > MaxKeys:
		return &InvalidError{Field: "data", Reason: "must not have more than 1000 keys"}
	case values > MaxValueBytes:
		return &InvalidError{Field: "data", Reason: "must not have more than 1 MiB of values"}
	}
	return nil
}
