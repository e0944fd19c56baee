package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/safefile"
)

// Open opens a state file that [Create] made. Where the path is a symbolic
// link, everything beside the state file is beside the file that the link leads
// to. Opened by root, all of it stays the property of the state file's owner.
// Errors: ErrMissing, a HeldError if another process has it open, ErrDamaged,
// or an error about anything else, such as wrong permissions.
func Open(path string) (*File, error) {
	owner, err := safefile.OwnerOf(path)
	if err != nil {
		return nil, fmt.Errorf("opening the state file: %w", err)
	}
	var f *File
	err = owner.Do(func() (err error) {
		if err = check(path); err == nil {
			f, err = open(path, owner)
		}
		return err
	})
	return f, err
}

func open(path string, owner safefile.User) (*File, error) {
	f, err := openAs(path, owner)
	var held *HeldError
	if err != nil && !errors.As(err, &held) {
		err = fmt.Errorf("opening the state file %s: %w", path, err)
	}
	return f, err
}

func openAs(name string, owner safefile.User) (_ *File, err error) {
	name, err = filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	f := &File{
		name: name, path: safefile.Follow(name), owner: owner, jobs: make(chan *job, maxQueued), turn: make(chan struct{}, 1),
		done: make(chan struct{}), watched: make(chan struct{}), broken: make(chan struct{}),
	}
	file, err := safefile.Open(f.path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := f.load(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	noteHolder(f.path)
	go f.watch()
	return f, nil
}

// load checks that the file is ours and undamaged, and then lets bbolt map it.
func (f *File) load(file *os.File) (err error) {
	if err := lock(file); err != nil {
		return err
	}
	if f.self, err = file.Stat(); err != nil {
		return err
	}
	if err := f.inPlace(); err != nil {
		return err // replaced during the wait for the lock
	}
	if f.keys, f.damage, err = examine(file); err != nil {
		return err
	}
	if f.reserve, err = openReserve(f.path, f.owner); err != nil {
		return fmt.Errorf("making a reserve: %w", err)
	}
	db, err := openDB(file)
	if err != nil {
		return err
	}
	if f.id, err = readHeader(db); err != nil {
		if f.damage != "" {
			err = damaged("%s; without it, %w", f.damage, err)
		}
		return errors.Join(err, db.Close())
	}
	f.db.Store(db)
	return nil
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

func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w at %s", ErrMissing, path)
	case err != nil:
		return fmt.Errorf("opening the state file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the state file %s is not a regular file", path)
	case info.Mode().Perm() == 0o660:
		return fmt.Errorf("the state file %s is open to its group (mode 0660), as after Kubernetes has applied the fsGroup of a pod to its volume: "+
			"set fsGroupChangePolicy: OnRootMismatch beside fsGroup, and then run chmod 600 on the file", path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("the state file %s is open to others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	return nil
}
