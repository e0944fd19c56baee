package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is what a value looks like to those who may not see it.
const Mask = "****"

// A Value is the part that must not leak: bytes, not necessarily text. It
// shows as asterisks in everything that fmt, slog and the encoders make of
// it. The one way to the bytes is a conversion, string(v) or []byte(v), so
// those are what to look for when asking where values leave.
//
// What gets past this: fmt asks no method of what is in an unexported field,
// nor for %p and a misplaced %w, and encoders write the keys of a map as they
// are. So never print a struct that holds values in unexported fields, and
// never make a Value the key of a map.
type Value string

// Format implements [fmt.Formatter]; unlike String, it covers %d and %x too.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Mask) }

func (Value) String() string { return Mask }

// MarshalText implements [encoding.TextMarshaler] for JSON, YAML and the like.
func (Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue implements [slog.LogValuer].
func (Value) LogValue() slog.Value { return slog.StringValue(Mask) }
