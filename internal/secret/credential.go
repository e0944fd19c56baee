package secret

// A Credential is what a caller was known by, as far as it can stop working
// while a request is under way: it can be revoked, end, or be used up. A request
// may take long, since a client sends its body as slowly as it likes, so
// [Service] asks again at the moment of the change or delivery.
type Credential interface {
	// Check returns ErrForbidden once the credential has stopped working. It
	// reads memory only.
	Check() error

	// Spend counts a delivery of values in the transaction, which also records
	// it. It returns ErrForbidden, and has written nothing, if the credential
	// has no delivery left. For a credential that is not counted it does nothing.
	Spend(tx Tx) error
}

// A Tx is a transaction of the state file. It is *state.Tx, of which this
// package knows only that it can be passed on.
type Tx interface{ OnCommit(fn func()) }

// Check returns nil as long as the caller's credential works, and ErrForbidden
// afterwards. A [Recording] store calls it first in its transaction, so that
// once a revocation has been answered no operation succeeds any more.
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

// delivers reports whether the operation is one that a counted credential is
// good for only so often.
func (op Op) delivers() bool {
	return op.Credential != nil && op.Event != nil && op.Event.Action == Reveal
}
