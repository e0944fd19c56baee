package bolt

import (
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	// MaxListBytes bounds what the names, keys and descriptions of one owner's
	// secrets take in the file, since a list has them all in memory. Secrets
	// with less than smallInfo of it are not refused, so that they are not
	// counted each time: with MaxSecrets of them it is 10 MiB more.
	MaxListBytes = 8 << 20
	smallInfo    = 1 << 10

	// listsRead is how many lists are read from the file at a time.
	listsRead = 4
)

var errTooMuch = &secret.InvalidError{
	Field: "description", Reason: "is too long: the names, keys and descriptions of all secrets may have 8 MiB altogether",
}

// checkRoom returns an InvalidError if the owner would have too much to list with
// the record in the place of old, which is nil for one that is new. It is called
// before anything is written.
func (s *Store) checkRoom(tx *state.Tx, old *record, next record) error {
	if next.info.Size() < smallInfo {
		return nil
	}
	text, err := next.text()
	if err != nil {
		return err
	}
	rows, total := tx.Bucket(s.secrets), headBytes+len(text)
	if old != nil && total <= len(rows.Get(old.key[:])) {
		return nil // it has become no longer
	}
	for key, stored := range rows.Prefix(next.key.owner()) {
		if len(key) == rowKeyBytes && (old == nil || rowKey(key) != old.key) {
			total += len(stored)
		}
	}
	if total > MaxListBytes {
		return errTooMuch
	}
	return nil
}
