package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask stands in for a value where values must not be shown.
const Mask = "****"

// A Value has bytes that must not leak. They need not be text. fmt, slog and the encoders
// print it as asterisks. The only way to the bytes is a conversion, string(v) or
// []byte(v): search for those to find every place where values leave.
//
// Three cases are not covered: fmt calls no method on unexported fields, nor for %p
// and a misplaced %w, and encoders write map keys unchanged. So never print a struct
// with values in unexported fields, and never use a Value as a map key.
type Value string

// Format implements [fmt.Formatter]; unlike String, it covers %d and %x too.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Mask) }

func (Value) String() string { return Mask }

// MarshalText implements [encoding.TextMarshaler] for JSON, YAML and the like.
func (Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue implements [slog.LogValuer].
func (Value) LogValue() slog.Value { return slog.StringValue(Mask) }
