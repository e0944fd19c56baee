package secret

import (
	"context"
	"errors"
	"time"
)

// An Event is an attempt on a secret, for the audit log. It has no values.
type Event struct {
	Time         time.Time
	Subject      string // the caller's name in the keys file or token
	CredentialID string // id of the credential, never the credential
	From         string // address of the peer
	Request      string // id of the request
	Action       Action
	Ref          Ref     // has no name for a list of the owner's secrets
	NewName      string  // of a rename
	Outcome      Outcome // result of the attempt
	// Covers lists the grants of a key that was issued, one a line: the owner, and a space
	// and the name if the grant names secrets. Lines of denials begin with "except ".
	Covers string

	// Missing means that the answer is not found, including denials that look the same.
	// It is not stored in the entry; it decides how the entry is written.
	Missing bool
}

// An Outcome is the result of an attempt.
type Outcome string

// The outcomes. An event with Unknown, not followed by another event of the same
// request, is an attempt during which the server died.
const (
	Unknown     Outcome = "unknown"
	Done        Outcome = "done"
	Denied      Outcome = "denied"
	NotFound    Outcome = "not found"
	Exists      Outcome = "exists"
	Changed     Outcome = "changed"
	Invalid     Outcome = "invalid"
	Unavailable Outcome = "unavailable"
	Full        Outcome = "full"
	Failed      Outcome = "failed"
)

// OutcomeOf returns the outcome of an attempt that returned this error.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Done
	}
	if _, ok := errors.AsType[*InvalidError](err); ok {
		return Invalid
	}
	for _, o := range []struct {
		is      error
		outcome Outcome
	}{
		{ErrForbidden, Denied},
		{ErrNotFound, NotFound},
		{ErrExists, Exists},
		{ErrChanged, Changed},
		{ErrUnavailable, Unavailable},
		{ErrFull, Full},
	} {
		if errors.Is(err, o.is) {
			return o.outcome
		}
	}
	return Failed
}

// A Recorder writes the audit log.
type Recorder interface {
	// Record returns when the event is on disk. After an error the action must not
	// happen, or its result must not be returned. The steps run first, in the same
	// transaction. If one fails, Record returns its error and writes no entry.
	Record(ctx context.Context, e Event, steps ...func(Tx) error) error

	// Note writes the event within a second. Similar reads, and similar requests for
	// missing secrets, become one entry with a count. It returns an error if the audit log
	// accepts no more entries.
	Note(e Event) error
}
