package secret

import (
	"errors"
	"fmt"
)

// What a store or the service answers when the answer is no. Stores translate
// their backend's errors into these; each API turns these into its responses.
var (
	// ErrNotFound also stands for a secret that the caller may not know of.
	ErrNotFound  = errors.New("secret not found")
	ErrExists    = errors.New("secret already exists")
	ErrForbidden = errors.New("not allowed")
	// ErrChanged is a failed precondition: the secret is not at Op.OnlyIf.
	ErrChanged = errors.New("secret has changed")
	// ErrUnavailable means that the same call may succeed later.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrFull means that there is no room left to write.
	ErrFull = errors.New("store is full")
)

// errHidden is an ErrNotFound for what the caller may not know of.
var errHidden = fmt.Errorf("%w", ErrNotFound)

// IsDenial reports whether the error is that the caller may not. An
// ErrNotFound is one if the caller may not even know, whether or not there is
// such a secret.
func IsDenial(err error) bool { return errors.Is(err, ErrForbidden) || errors.Is(err, errHidden) }

// An InvalidError is input that can never be right. It names the field, or
// the key of the data, and never says what was sent.
type InvalidError struct {
	Field  string // as in name or data
	Key    string // of the data, if it is about one, and a legal key
	Reason string // as in "must not be empty"
}

func (e *InvalidError) Error() string {
	if e.Key != "" {
		return e.Field + ": " + e.Key + ": " + e.Reason
	}
	return e.Field + ": " + e.Reason
}

// InvalidErrors returns the InvalidErrors in an error, of which errors.Join can make one of many, in
// their order.
func InvalidErrors(err error) (all []*InvalidError) {
	switch e := err.(type) {
	case *InvalidError:
		return []*InvalidError{e}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			all = append(all, InvalidErrors(err)...)
		}
	case interface{ Unwrap() error }:
		return InvalidErrors(e.Unwrap())
	}
	return all
}
