package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// Open opens a state file that [Create] made, in the format of this version or an older
// one. Where the path is a symbolic link, everything beside the state file is beside the
// file that the link leads to. Opened by root, all of it stays the property of the state
// file's owner. Errors: ErrMissing, a HeldError if another process has it open,
// ErrDamaged, ErrJournal, a LockedError, or an error about anything else, such as wrong permissions.
//
// The keyring is opened before anything of the journal counts: records that are not
// authentic are neither served nor moved into the state file.
//
// A missing journal of a complete file is made, with two small files. Of a large file, the
// comparison of all rows with their MAC ends later, and breaks the file if they differ.
func Open(path string, unlock Unlock) (*File, error) { return OpenWith(path, unlock, Options{}) }

// Options are for [OpenWith].
type Options struct {
	// JournalBytes is the size in bytes of each of the journal's two files, unless they still
	// hold changes; 0: as they are, or small.
	JournalBytes int64
	// Altered opens also a file whose rows are not those that were written, so that it can be
	// examined and mended: see [File.Altered]. Such a file is never copied.
	Altered bool

	shared SharedLog // the file is the cache of a node
	filled bool      // the cache was filled from the database just now
}

// An Unlock opens the wrapped keyring of the state file with this id.
type Unlock func(id string, wrapped []byte) (Keys, error)

// call calls the Unlock on a thread of its own: the file is opened with the rights of its
// owner, and the key-encryption key is read with those of the process.
func (u Unlock) call(id string, wrapped []byte) (keys Keys, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		keys, err = u(id, wrapped)
	}()
	<-done
	if err != nil {
		err = &LockedError{err}
	}
	return keys, err
}

// Keys come from the keyring of a state file.
type Keys struct {
	// MAC authenticates the state. It never changes.
	MAC MACKey
	// Signed says that the file has a MAC over all rows. A file of an older format may have
	// none.
	Signed bool
}

// A MACKey computes MACs.
type MACKey = change.MACKey

// A LockedError is an error of an [Unlock]. Its text is that error's.
type LockedError struct{ cause error }

func (e *LockedError) Error() string { return e.cause.Error() }

// Unwrap returns the error of the Unlock.
func (e *LockedError) Unwrap() error { return e.cause }

// OpenWith is Open with options.
func OpenWith(path string, unlock Unlock, options Options) (*File, error) {
	owner, err := safefile.OwnerOf(path)
	if err != nil {
		return nil, fmt.Errorf("opening the state file: %w", err)
	}
	var f *File
	err = owner.Do(func() (err error) {
		if err = check(path); err == nil {
			f, err = open(path, owner, unlock, options)
		}
		return err
	})
	return f, err
}

func open(path string, owner safefile.User, unlock Unlock, options Options) (*File, error) {
	f, err := openAs(path, owner, unlock, options)
	var held *HeldError
	var locked *LockedError
	switch {
	case errors.As(err, &locked):
		err = locked
	case err != nil && !errors.As(err, &held):
		err = fmt.Errorf("opening the state file %s: %w", path, err)
	}
	return f, err
}

func openAs(name string, owner safefile.User, unlock Unlock, options Options) (*File, error) {
	f, err := openIdle(name, owner, unlock, options)
	if err != nil {
		return nil, err
	}
	noteHolder(f.path)
	f.checkpointIfDue()
	f.lastCheckpoint.Store(time.Now().UnixMilli())
	go f.watch()
	go f.flushes()
	go f.checkpoints()
	return f, nil
}

func openIdle(name string, owner safefile.User, unlock Unlock, options Options) (_ *File, err error) {
	name, err = filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	f := &File{
		name: name, path: safefile.Follow(name), owner: owner, options: options, jobs: make(chan *job, maxQueued), reserved: make(chan *job, maxQueued), turn: make(chan struct{}, 1),
		due: make(chan struct{}, 1), behindDue: make(chan struct{}, 1), compared: make(chan struct{}),
		done: make(chan struct{}), watched: make(chan struct{}), checkpointed: make(chan struct{}), flushed: make(chan struct{}), broken: make(chan struct{}),
	}
	file, err := safefile.Open(f.path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := f.load(file, unlock); err != nil {
		_ = file.Close()
		return nil, err
	}
	f.last = f.gen.Load().at
	return f, nil
}

// load checks that the file is ours and undamaged, and then lets bbolt map it.
func (f *File) load(file *os.File, unlock Unlock) (err error) {
	f.file = file
	if err := lock(file); err != nil {
		return err
	}
	if f.self, err = file.Stat(); err != nil {
		return err
	}
	if err := f.inPlace(); err != nil {
		return err // replaced during the wait for the lock
	}
	if f.damage, err = examine(file); err != nil {
		return err
	}
	db, err := openDB(file)
	if err != nil {
		return err
	}
	h, err := readHeader(db)
	if err != nil && f.damage != "" {
		err = damaged("%s; without it, %w", f.damage, err)
	}
	f.gen.Store(&generation{db: db, live: overlay{}, at: h.applied, until: h.applied})
	if err == nil {
		err = f.options.fits(h)
	}
	if err == nil && h.version < unauthenticVersion {
		err = f.upgrade(file, &h)
	}
	if err == nil {
		f.id, f.complete = h.id, h.complete && f.options.shared == nil
		err = guarded(func() error { return f.openLog(h, unlock) })
	}
	if err != nil {
		return errors.Join(err, f.closeLog(), db.Close())
	}
	return nil
}

// openLog opens the log, and applies the change sets in it that bbolt has not.
func (f *File) openLog(h header, unlock Unlock) error {
	if f.options.shared != nil {
		return f.joinLog(h, unlock)
	}
	return f.openJournal(h, unlock)
}

func (f *File) closeLog() error {
	if f.log == nil || f.node != nil { // whoever opened the shared log closes it then
		return nil
	}
	return f.log.Close()
}

// openDB lets bbolt use a file that is already open and locked, so that no other
// process can open it in between.
func openDB(file *os.File) (db *bbolt.DB, err error) {
	opts := options()
	opts.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return file, nil }
	err = guarded(func() (err error) {
		db, err = bbolt.Open(file.Name(), 0o600, opts)
		return err
	})
	return db, err
}

func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapBytes,
	}
}

// check checks the state file and the files of its journal.
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w at %s", ErrMissing, path)
	case err != nil:
		return fmt.Errorf("opening the state file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the state file %s is not a regular file", path)
	}
	if err := private("the state file", path, info.Mode().Perm()); err != nil {
		return err
	}
	for _, beside := range journal.Paths(safefile.Follow(path)) {
		info, err := os.Lstat(beside)
		if err != nil {
			continue // opening it says why, if it is needed
		}
		if err := private("the journal file", beside, info.Mode().Perm()); err != nil && info.Mode().IsRegular() {
			return err
		}
	}
	return nil
}

func private(what, path string, mode os.FileMode) error {
	switch {
	case mode == 0o660:
		return fmt.Errorf("%s %s is open to its group (mode 0660), as after Kubernetes has applied the fsGroup of a pod to its volume: "+
			"set fsGroupChangePolicy: OnRootMismatch beside fsGroup, and then run chmod 600 on the file", what, path)
	case mode&0o077 != 0:
		return fmt.Errorf("other users can access %s %s (mode %04o): run chmod 600 on it", what, path, mode)
	}
	return nil
}
