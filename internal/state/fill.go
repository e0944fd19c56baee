package state

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// A new cache, and a state file that takes the place of a shared state, are filled from
// the snapshot of a [SharedLog]; [File.Dump] makes such a snapshot. It includes
// the MAC over all rows, so an altered row is noticed.

// fillCache replaces the cache at the path. It never replaces a state file, which can be
// too damaged to be told from a cache but for its journal.
func fillCache(ctx context.Context, path string, shared SharedLog, unlock Unlock) error {
	for _, beside := range journal.Paths(safefile.Follow(path)) {
		if _, err := os.Lstat(beside); err == nil {
			return fmt.Errorf("there is the journal %s of a state file: use another directory for the cache", beside)
		}
	}
	if err := safefile.Remove(Files(path)...); err != nil {
		return err
	}
	return safefile.Create(path, func(file *os.File) error { return fill(ctx, file, shared, unlock) })
}

// Fetch creates a complete state file from a shared state, with all acknowledged changes
// and a lineage of its own. Nothing may use the shared state meanwhile. The path must not
// exist (os.ErrExist). Errors: those of the log, ErrAltered, a LockedError.
func Fetch(ctx context.Context, path string, shared SharedLog, unlock Unlock) error {
	cache := path + ".fetched"
	f, err := OpenShared(ctx, cache, keepOpen{shared}, unlock)
	if err != nil {
		return err
	}
	err = safefile.Create(path, func(file *os.File) error {
		if _, err := f.WriteTo(file); err != nil {
			return err
		}
		return errors.Join(complete(file, unlock), safefile.Remove(journal.Paths(path)...))
	})
	return errors.Join(err, f.Close(), safefile.Remove(Files(cache)...))
}

// keepOpen is a shared log that closing a file does not close.
type keepOpen struct{ SharedLog }

func (keepOpen) Close() error { return nil }

// fillStep limits the rows of one transaction in bytes, and so the memory that filling
// takes.
const fillStep = 8 << 20

// fill writes a snapshot to an empty file, and checks it.
func fill(ctx context.Context, file *os.File, shared SharedLog, unlock Unlock) error {
	db, err := openDB(file)
	if err != nil {
		return err
	}
	db.NoSync, db.NoGrowSync = true, true // one sync at the end is enough
	err = guarded(func() error {
		snapshot, err := fillRows(ctx, db, shared)
		if err == nil {
			err = snapshot.finish(db, file, unlock)
		}
		if err == nil {
			err = db.Sync()
		}
		return err
	})
	return errors.Join(err, db.Close())
}

func fillRows(ctx context.Context, db *bbolt.DB, shared SharedLog) (Snapshot, error) {
	var step []change.Row
	size := 0
	flush := func() error {
		err := db.Update(func(tx *bbolt.Tx) error { return (&boltTx{tx: tx}).apply(step) })
		step, size = step[:0], 0
		return err
	}
	snapshot, err := shared.Fill(ctx, func(r change.Row) error {
		if !counts(r.Bucket, r.Key) {
			return damaged("the database has the row %s/%s, which belongs to a file", r.Bucket, r.Key)
		}
		step = append(step, change.Row{Bucket: r.Bucket, Key: bytes.Clone(r.Key), Value: append([]byte{}, r.Value...)})
		if size += len(r.Key) + len(r.Value); size < fillStep {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return snapshot, err
}

// finish writes the header of a cache, and checks all rows.
func (s *Snapshot) finish(db *bbolt.DB, file *os.File, unlock Unlock) error {
	if id, err := hex.DecodeString(s.ID); err != nil || len(id) != idBytes {
		return damaged("the database has no id of a state")
	}
	h := header{version: FormatVersion, id: s.ID, lineage: s.Lineage, applied: position{s.At.Seq, s.At.Chain}}
	err := db.Update(func(tx *bbolt.Tx) error {
		b := &boltTx{tx: tx}
		return errors.Join(h.put(b), b.putHeader(cacheKey, []byte{1}), b.putHeader(macKey, s.MAC))
	})
	if err != nil {
		return err
	}
	keys, err := h.unlock(db, unlock)
	if err != nil {
		return err
	}
	sum, err := sumRows(db, file, keys.MAC)
	if err == nil && !hmac.Equal(s.MAC, newAuthenticator(keys.MAC).seal(s.Lineage, h.applied, h.applied, sum)) {
		err = fmt.Errorf("%w, or the snapshot is incomplete", ErrAltered)
	}
	return err
}

// Dump calls fn for all rows, after a checkpoint, and returns the snapshot that they are,
// with a lineage of its own. Rows are valid only until fn returns.
func (f *File) Dump(fn func(change.Row) error) (s Snapshot, err error) {
	_, _ = rand.Read(s.Lineage[:])
	err = guarded(func() error {
		var tx *bbolt.Tx
		tx, s, err = f.snapshot(s.Lineage)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		return tx.ForEach(func(bucket []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, value []byte) error {
				if !counts(string(bucket), key) {
					return nil
				}
				return fn(change.Row{Bucket: string(bucket), Key: key, Value: value})
			})
		})
	})
	return s, err
}

// Snapshot makes a checkpoint, and returns the position and the MAC of what it moved.
func (f *File) Snapshot() (s Snapshot, err error) {
	err = guarded(func() error {
		var tx *bbolt.Tx
		tx, s, err = f.snapshot([16]byte{})
		if err != nil {
			return err
		}
		return tx.Rollback()
	})
	return s, err
}
