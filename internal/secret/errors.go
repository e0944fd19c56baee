package secret

import (
	"errors"
	"fmt"
)

// The errors of stores and the service. Stores translate their backend's errors into
// these; each API turns these into its responses.
var (
	// ErrNotFound also hides a secret that the caller may not know of.
	ErrNotFound  = errors.New("secret not found")
	ErrExists    = errors.New("secret already exists")
	ErrForbidden = errors.New("not allowed")
	// ErrChanged is a failed precondition: the secret is not at Op.OnlyIf.
	ErrChanged = errors.New("secret has changed")
	// ErrUnavailable means that the same call may succeed later.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrBusy is an ErrUnavailable: the request needs more memory than is free
	// for its caller at the moment.
	ErrBusy = fmt.Errorf("too much memory is in use: %w", ErrUnavailable)
	// ErrFull means that the disk has no space left.
	ErrFull = errors.New("store is full")
)

// ErrBeingDeleted is an ErrUnavailable: the secret was deleted, and until the
// cluster has removed the rest of it, its name cannot be used again.
var ErrBeingDeleted = fmt.Errorf("%w: the secret is being deleted", ErrUnavailable)

// IsRefusal reports whether the error means that the action is not allowed, or that the
// secret does not exist, which looks the same to a caller without the right to know of it.
func IsRefusal(err error) bool { return errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) }

// An InvalidError means that the input can never be valid. It names the field, or the
// data key, and never quotes the input.
type InvalidError struct {
	Field   string // for example name or data
	DataKey string // the data key, if the error is about one and the data key is legal
	Reason  string // for example "must not be empty"
}

func (e *InvalidError) Error() string {
	if e.DataKey != "" {
		return e.Field + ": " + e.DataKey + ": " + e.Reason
	}
	return e.Field + ": " + e.Reason
}

// InvalidErrors returns all InvalidErrors in an error, in order. After errors.Join there
// can be several.
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
