package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// Create creates a state file with the keyring that wrap returns for the file's id, beside
// the key that authenticates the state. It never changes an existing file; the error is
// then os.ErrExist. A crash leaves the whole file or none, because the file gets its name
// only when it is on disk.
func Create(path string, wrap func(id string) (wrapped []byte, key MACKey, err error)) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("creating the state file %s: %w", path, os.ErrExist)
	}
	for _, file := range journal.Paths(path) {
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("creating the state file %s: %s has the last changes of another one: move it away (%w)", path, file, os.ErrExist)
		}
	}
	id := make([]byte, idBytes)
	_, _ = rand.Read(id)
	keyring, key, err := wrap(hex.EncodeToString(id))
	if err != nil {
		return err
	}
	err = safefile.Create(path, func(file *os.File) error { return write(file, hex.EncodeToString(id), keyring, key) })
	if err != nil {
		return fmt.Errorf("creating the state file %s: %w", path, err)
	}
	return nil
}

func write(file *os.File, id string, keyring []byte, key MACKey) (err error) {
	db, err := openDB(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h := header{id: id}
	return h.begin(db, newAuthenticator(key), rowSum{}, func(tx *boltTx) error { return tx.putHeader(keyringKey, keyring) })
}

// begin writes the header of a complete file with a new lineage, and what else the
// function writes. sum is that of the rows before. Without an authenticator, the file gets
// format 2. The second commit writes the same state to the other meta page: if one is
// damaged later, the other does not lead back to an unfinished file.
func (h *header) begin(db *bbolt.DB, auth *authenticator, sum rowSum, also func(*boltTx) error) error {
	_, _ = rand.Read(h.lineage[:])
	h.version = unauthenticVersion
	if auth != nil {
		h.version = FormatVersion
	}
	return guarded(func() error {
		return errors.Join(db.Update(func(tx *bbolt.Tx) error {
			b := &boltTx{tx: tx, auth: auth, sum: sum}
			err := errors.Join(h.put(b), also(b))
			if err == nil && auth != nil {
				err = b.putHeader(macKey, auth.seal(h.lineage, h.applied, h.applied, b.sum))
			}
			return err
		}), commitAgain(db))
	})
}

func commitAgain(db *bbolt.DB) error {
	return db.Update(func(*bbolt.Tx) error { return nil })
}
