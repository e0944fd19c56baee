package state

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state/change"
)

var (
	// ErrConflict means that another node has appended a change set first: read those that
	// are newer, and run the changes again on them.
	ErrConflict = errors.New("another node has changed the state first")
	// ErrAway means that the shared log does not answer, and the change did not happen.
	ErrAway error = unavailable("the database does not answer")
	// ErrUnknown means that the shared log has not answered, and may have the change.
	ErrUnknown error = unavailable("the database has not answered, and the change may have happened")
	// ErrTrimmed means that the shared log no longer has the next change sets for the node,
	// which must begin again from a snapshot.
	ErrTrimmed error = unavailable("the database no longer has the next changes")
	// ErrDiverged means that this node must not go on with the shared log: the log has lost a
	// change that the node has applied, as after a failover to a server that was behind, or
	// has another state, or one that a newer program has converted.
	ErrDiverged error = unavailable("the database has lost changes that it had acknowledged")
)

// unavailable is the text of a secret.ErrUnavailable.
type unavailable string

func (u unavailable) Error() string { return string(u) }
func (unavailable) Unwrap() error   { return secret.ErrUnavailable }

// isAnswer reports whether an error is an answer of a shared log, after which other changes
// may succeed.
func isAnswer(err error) bool {
	for _, answer := range []error{ErrConflict, ErrAway, ErrUnknown, ErrFull} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// A BatchID identifies a change set in the shared log. It is random. An append that is
// repeated with the same one happens once.
type BatchID [16]byte

// A SharedRecord is a change set in a shared log.
type SharedRecord struct {
	change.Record
	ID BatchID
	// Before is the chain of the record before this one. Append needs it and compares it
	// with that in the log; Since and Lock leave it zero.
	Before change.Chain
}

// A SharedLog is the sequence of change sets that several nodes share, and a snapshot of
// the state: internal/state/postgres. Only Head, Everywhere and Close may be called at any
// time; the other methods are called one at a time.
type SharedLog interface {
	// Append appends a record, whose number is that of the last one plus one, and returns
	// when it is durable. It ends a [SharedLog.Lock]. After ErrUnknown, the same record can
	// be given again: it is appended only once. The context does not interrupt an append.
	// Errors: ErrConflict, ErrFull, ErrAway, ErrUnknown, ErrDiverged.
	Append(ctx context.Context, r SharedRecord) error
	// Since calls fn for each record behind a number, in order. Records are valid only until
	// fn returns. Errors: those of fn, ErrTrimmed, ErrAway, ErrDiverged.
	Since(ctx context.Context, seq uint64, fn func(SharedRecord) error) error
	// Lock is Since, and then keeps other nodes from appending until the next Append or
	// Unlock.
	Lock(ctx context.Context, seq uint64, fn func(SharedRecord) error) error
	// Unlock ends a Lock without an Append. It does nothing without a Lock.
	Unlock()
	// Head returns the position of the last record. It is never older than the call. Calls
	// at the same time share a query. Error: ErrAway.
	Head(ctx context.Context) (Position, error)
	// Identity returns the id of the state and the lineage of this copy of it.
	Identity(ctx context.Context) (id string, lineage [16]byte, err error)
	// Fill calls put for all rows of a snapshot of the state, in any order, and returns its
	// description.
	Fill(ctx context.Context, put func(change.Row) error) (Snapshot, error)
	// Everywhere returns when no node answers a later request without the changes up to this
	// number. Error: that of the context.
	Everywhere(ctx context.Context, seq uint64) error
	// Close ends the connections.
	Close() error
}

// A Snapshot describes all rows of the state at a position.
type Snapshot struct {
	ID      string   // of the state
	Lineage [16]byte // of this copy of it
	At      Position
	MAC     []byte // over lineage, position and all rows: see authenticator.seal
}
