package auth

import "fmt"

// A RefusalError is ErrBadCredential or ErrNoCredential with the reason, for
// administrators only: [Require] drops it, since callers may be guessing. The
// reason never quotes the credential.
type RefusalError struct {
	Reason string // as in "it expired 5m0s ago"
	err    error
}

func (e *RefusalError) Error() string { return e.err.Error() + ": " + e.Reason }

func (e *RefusalError) Unwrap() error { return e.err }

// Refuse returns an ErrBadCredential with the reason.
func Refuse(format string, args ...any) error {
	return &RefusalError{fmt.Sprintf(format, args...), ErrBadCredential}
}

// PassOver returns an ErrNoCredential with the reason why the strategy does not handle
// the credential.
func PassOver(format string, args ...any) error {
	return &RefusalError{fmt.Sprintf(format, args...), ErrNoCredential}
}
