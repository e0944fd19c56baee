package bolt

import (
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

const (
	// MaxListBytes limits the stored names, keys and descriptions of an owner's secrets,
	// because a list has them all in memory. Secrets below smallInfo bytes are always
	// accepted, which saves counting them: MaxSecrets of them are 10 MiB more.
	MaxListBytes = 8 << 20
	smallInfo    = 1 << 10

	// listsRead limits concurrent reads of lists from the file.
	listsRead = 4
)

var errTooMuch = &secret.InvalidError{
	Field: "description", Reason: "is too long: the names, keys and descriptions of all secrets may have 8 MiB altogether",
}

// checkRoom returns an InvalidError if next makes the owner's list too large. It replaces
// old, which is nil for a new record. Call it before anything is written.
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
		return nil // it has not become longer
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
