// Package lastaccess stores when the values of each secret were last read, and by which
// caller. The audit log has every read; this index answers the most frequent question
// without a scan of the log.
//
// A [Tracker] follows the audit log: the transaction that appends the entry of a read also
// writes the row of the secret, so the rows always agree with the log.
package lastaccess

import (
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Ring seals rows and computes their row keys. It is *seal.Ring.
type Ring interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	SealedByPrimary(sealed []byte) bool
	MAC(name []byte) [16]byte
}

// An Access is a read of a secret's values.
type Access struct {
	Time         time.Time `json:"time"`
	Subject      string    `json:"subject"`
	CredentialID string    `json:"key,omitempty"`
}

// A Tracker knows the last access of each secret. It is safe for concurrent use.
type Tracker struct {
	file *state.File
	ring Ring
}

// Open returns the tracker of the file. Give its Follow method to audit.Open.
func Open(file *state.File, ring Ring) *Tracker { return &Tracker{file, ring} }

// Follow updates the rows after an audit event, in the transaction that appends its
// entry.
func (t *Tracker) Follow(tx *state.Tx, e secret.Event) error {
	if e.Outcome != secret.Done {
		return nil
	}
	switch e.Action {
	case secret.Reveal:
		return t.write(tx, e.Ref, Access{e.Time, e.Subject, e.CredentialID})
	case secret.Destroy, secret.Erase:
		return t.remove(tx, e.Ref)
	}
	if e.NewName == "" {
		return nil
	}
	return t.move(tx, e.Ref, e.NewName)
}

// Last returns the last access of the secret's values, if there was one. The outcome of a
// read from a store outside of the state file is recorded within a second, so its access
// appears that much later.
func (t *Tracker) Last(ref secret.Ref) (last Access, ok bool, err error) {
	err = t.file.View(func(tx *state.Tx) error {
		last, ok, err = t.read(tx, ref)
		return err
	})
	return last, ok, err
}

// move renames a row. It replaces the row of an earlier secret with the new name.
func (t *Tracker) move(tx *state.Tx, from secret.Ref, name string) error {
	rows, to := tx.Bucket(bucket), secret.Ref{Owner: from.Owner, Name: name}
	last, known, _ := t.read(tx, from) // a damaged row must not block a rename
	err := errors.Join(rows.Delete(t.rowKey(from)), rows.Delete(t.rowKey(to)))
	if err == nil && known {
		err = t.write(tx, to, last)
	}
	return err
}
