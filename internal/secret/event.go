package secret

import (
	"context"
	"errors"
	"time"
)

// An Event is an attempt on a secret, for the audit log. It has no values.
type Event struct {
	Time    time.Time
	Subject string // the caller's name in the keys file or token
	Key     string // id of the credential, never the credential
	From    string // address of the peer
	Request string // id of the request
	Action  Action
	Ref     Ref     // has no name for a list of the owner's secrets
	NewName string  // of a rename
	Outcome Outcome // how it ended

	// Missing means that the answer is not found, including denials that look like it.
	// It is not in the entry; it decides how the entry is written.
	Missing bool
}

// An Outcome is how an attempt ended.
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
	// Record returns when the event is on disk. On an error the
	// action it stands for must not happen, or not be answered. The steps run
	// before, in the same transaction; if one fails, its error is returned and
	// nothing is recorded.
	Record(ctx context.Context, e Event, steps ...func(Tx) error) error

	// Note puts the event on record within a second, reads that are alike
	// counted as one, and what is missing too. It returns an error if events can no longer be put on
	// record.
	Note(e Event) error
}
