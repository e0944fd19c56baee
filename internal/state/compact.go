package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
)

// compactStep is the size of Compact's transactions in bytes, and so the memory that
// it takes.
const compactStep = 1 << 20

// The header's rows about compactions, with times.
var (
	compactedKey = []byte("compacted") // when the last one ended
	removedKey   = []byte("removed")   // see File.Removed; absent after a compaction
)

// Compact returns unused space to the file system, and removes from the files what was
// deleted or replaced: it writes a new state file with the same content, which replaces
// the old one, and overwrites the old records in both files of the journal. Meanwhile
// reads and changes continue, until the journal is full. A crash leaves one of the two
// state files; then what was deleted may remain.
func (f *File) Compact(ctx context.Context) error {
	f.compacting.Lock()
	defer f.compacting.Unlock()
	f.compactingSince.Store(time.Now().UnixNano())
	defer f.compactingSince.Store(0)
	before, err := f.Compaction()
	if err == nil {
		err = f.clean(ctx)
	}
	if err == nil {
		err = f.noteCompaction(ctx, before)
	}
	if isNoRoom(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		err = fmt.Errorf("compacting the state file: %w", err)
	}
	return err
}

func (f *File) clean(ctx context.Context) error {
	f.wiping.Store(true)
	defer f.wiping.Store(false)
	err := f.wipe(ctx) // one file of the journal
	if err == nil {
		err = f.rewrite()
	}
	if err == nil {
		err = f.wipe(ctx) // the other one
	}
	return err
}

// wipe moves all changes to bbolt and overwrites their records. It makes a change first,
// which changes nothing, so that the journal turns.
func (f *File) wipe(ctx context.Context) error {
	err := f.Update(ctx, func(tx *Tx) error {
		header := tx.Bucket(headerBucket)
		return header.Put(compactedKey, header.Get(compactedKey))
	})
	if err == nil {
		err = f.checkpoint()
	}
	return err
}

// rewrite replaces the state file by a new one.
func (f *File) rewrite() error {
	var old *bbolt.DB
	err := f.owner.Do(func() (err error) {
		if err := f.awaitComparison(); err != nil {
			return err
		}
		f.moving.Lock()
		defer f.moving.Unlock()
		if err = f.moveLocked(); err == nil {
			old, err = f.compactLocked()
		}
		return err
	})
	if old != nil {
		// Closing waits for reads in progress, which must not block writes.
		err = errors.Join(err, old.Close())
	}
	return err
}

// compactLocked returns the old file, to be closed, if it succeeds.
func (f *File) compactLocked() (old *bbolt.DB, err error) {
	draft := f.path + ".compact"
	file, err := safefile.CreateOwn(draft)
	if err != nil {
		return nil, err
	}
	defer func() {
		if old == nil {
			_ = os.Remove(draft)
		}
	}()
	// From here on bbolt closes the file.
	db, err := f.copyTo(file)
	if err != nil {
		return nil, err
	}
	if err := f.replace(draft, file); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	old = f.gen.Load().db
	f.publish(func(g *generation) { g.db = db })
	return old, f.syncPlace()
}

// copyTo locks the file, before it gets its final name, and writes all rows to it.
func (f *File) copyTo(file *os.File) (db *bbolt.DB, err error) {
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	db, err = openDB(file)
	if err != nil {
		return nil, err
	}
	db.NoSync, db.NoGrowSync = true, true // one sync at the end is enough
	err = guarded(func() error { return bbolt.Compact(db, f.gen.Load().db, compactStep) })
	if err == nil {
		err = commitAgain(db)
	}
	if err == nil {
		err = f.verify(db, file)
	}
	if err == nil {
		err = db.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.NoSync, db.NoGrowSync = false, false
	return db, nil
}

func (f *File) verify(db *bbolt.DB, copied *os.File) error {
	sum, err := sumRows(db, copied, f.chainKey)
	if err == nil && sum != f.sum {
		err = damaged("a copy of it has other rows")
	}
	return err
}

// replace replaces the current file. At any moment the path is one of the two files.
func (f *File) replace(draft string, file *os.File) error {
	if err := f.inPlace(); err != nil {
		return err
	}
	f.placing.Lock()
	defer f.placing.Unlock()
	self, err := file.Stat()
	if err != nil {
		return err
	}
	if err := os.Rename(draft, f.path); err != nil {
		return err
	}
	f.self, f.file = self, file
	return nil
}

// syncPlace makes the new name durable. If that fails, the next start may find the old
// file, so no change may be committed to the new one.
func (f *File) syncPlace() error {
	err := safefile.SyncDir(filepath.Dir(f.path))
	if err != nil {
		f.breakWith(fmt.Errorf("%w: %w", ErrBroken, err))
	}
	return err
}
