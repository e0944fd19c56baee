package secret

// A Credential is a caller's credential if it can become invalid during a request,
// because it is revoked, ends or is used up. A client can make a request last long
// by sending its body slowly, so [Service] checks the credential again at the moment
// of the change or delivery.
type Credential interface {
	// Check returns ErrForbidden once the credential is no longer valid. It
	// reads memory only.
	Check() error

	// Spend counts a delivery of values in the transaction, which also records it. It
	// returns ErrForbidden, and has written nothing, if the credential has no reads left.
	// For a credential without a limit of reads it does nothing.
	Spend(tx Tx) error
}

// A Tx is a transaction of the state file: *state.Tx, which this package only passes
// on.
type Tx interface{ Writable() bool }

// Check returns ErrForbidden once the caller's credential is no longer valid. A
// [Recording] store calls it first in its transaction, so that no operation succeeds
// after a revocation was confirmed.
func (op Op) Check() error {
	if op.Credential == nil {
		return nil
	}
	return op.Credential.Check()
}

// Spend counts a delivery of values. A [Recording] store calls it last in its
// transaction, for operations that succeed. Error: ErrForbidden.
func (op Op) Spend(tx Tx) error {
	if !op.delivers() {
		return nil
	}
	return op.Credential.Spend(tx)
}

// delivers reports whether a counted credential pays for the operation.
func (op Op) delivers() bool {
	return op.Credential != nil && op.Event != nil && op.Event.Action == Reveal
}
