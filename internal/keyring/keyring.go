// Package keyring manages the sealing keys of a state file. They are stored in the file,
// wrapped with a key-encryption key that is kept elsewhere (see [Source]).
package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
)

// A File stores the wrapped keyring. It is *state.File.
type File interface {
	ID() string
	Keyring() (wrapped []byte, err error)
	// SwapKeyring durably replaces the wrapped keyring before by after. It reports false,
	// and changes nothing, if the file has another keyring.
	SwapKeyring(ctx context.Context, before, after []byte) (swapped bool, err error)
	// WatchKeyring calls fn with each new wrapped keyring, before SwapKeyring returns and
	// before the next change of the file.
	WatchKeyring(fn func(wrapped []byte))
	// Hold calls fn while no change is applied.
	Hold(fn func() error) error
}

// A Source provides the key-encryption key. A key management service that never exports
// its keys provides a data key that it has decrypted.
type Source interface {
	Key(ctx context.Context) (*seal.Key, error)
}

// A Keyring manages the sealing keys of one state file. It is safe for concurrent use. Its
// memory follows the file.
type Keyring struct {
	file     File
	source   Source
	ring     *seal.Ring
	changing sync.Mutex // held during changes

	mu      sync.Mutex // guards the fields below
	wrapped []byte     // the keyring in the file; ring is the same keyring, opened
	kek     *seal.Key  // opens wrapped
	nextKEK *seal.Key  // opens the next keyring; nil unless Rewrap is in progress
}

// New creates a keyring and returns it wrapped for the state file with this id, with the
// key that authenticates the file, as state.Create needs them.
func New(ctx context.Context, source Source, stateID string) (wrapped []byte, stateKey *seal.Key, err error) {
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, nil, err
	}
	ring := seal.NewRing()
	wrapped, err = ring.Wrap(kek, stateID)
	return wrapped, ring.Derive(stateKeyPurpose), err
}

const stateKeyPurpose = "state chain"

// Open opens the keyring of the file. Errors: those of the source, and seal.ErrWrongKey.
func Open(ctx context.Context, file File, source Source) (*Keyring, error) {
	k, err := read(ctx, file, source)
	if err == nil {
		err = k.Follow(file)
	}
	return k, err
}

// Unwrap opens the wrapped keyring of the state file with this id, which is not open yet.
// Call [Keyring.Follow] next. Its errors are those of Open.
func Unwrap(ctx context.Context, source Source, stateID string, wrapped []byte) (*Keyring, error) {
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := seal.Unwrap(wrapped, kek, stateID)
	if err != nil {
		return nil, err
	}
	return &Keyring{source: source, ring: ring, wrapped: wrapped, kek: kek}, nil
}

// Follow makes the file the one whose keyring this is. Call it before the file's first
// change by this process.
func (k *Keyring) Follow(file File) error {
	k.file = file
	return file.Hold(func() error {
		file.WatchKeyring(k.follow)
		wrapped, err := file.Keyring()
		if err == nil && !bytes.Equal(wrapped, k.wrapped) { // another node was faster
			k.follow(wrapped)
		}
		return err
	})
}

// StateKey returns the key that authenticates the state file. It never changes.
func (k *Keyring) StateKey() *seal.Key { return k.ring.Derive(stateKeyPurpose) }

// Check reports whether Open would succeed now. Its errors are those of Open.
func Check(ctx context.Context, file File, source Source) error {
	_, err := read(ctx, file, source)
	return err
}

func read(ctx context.Context, file File, source Source) (*Keyring, error) {
	wrapped, err := file.Keyring()
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	return Unwrap(ctx, source, file.ID(), wrapped)
}

// follow adopts the keyring that the file has now.
func (k *Keyring) follow(wrapped []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.adopt(wrapped, k.kek) || k.adopt(wrapped, k.nextKEK) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askSourceAtMost)
	defer cancel()
	if kek, err := k.source.Key(ctx); err == nil && k.adopt(wrapped, kek) { // another node has rewrapped it
		return
	}
	// Otherwise this process would seal records with keys that the file does not have.
	panic("the keyring was rewrapped elsewhere, and this process does not have its key")
}

// askSourceAtMost limits the time for which changes wait for a source.
const askSourceAtMost = 10 * time.Second

// adopt reports whether the key opens the wrapped keyring, which is then that of memory.
// The caller holds mu.
func (k *Keyring) adopt(wrapped []byte, kek *seal.Key) bool {
	if kek == nil {
		return false
	}
	ring, err := seal.Unwrap(wrapped, kek, k.file.ID())
	if err != nil {
		return false
	}
	k.ring.Adopt(ring)
	k.wrapped, k.kek = bytes.Clone(wrapped), kek
	return true
}

// Ring returns the ring that seals and opens. Later changes of its keys apply to it too.
func (k *Keyring) Ring() *seal.Ring { return k.ring }

// ForBackup returns a ring for sealing a backup, and the same ring wrapped. It has only
// the primary key, and a later rotation does not change it.
func (k *Keyring) ForBackup() (ring *seal.Ring, wrapped []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ring, _ = k.ring.Pruned()
	wrapped, err = ring.Wrap(k.kek, k.file.ID())
	return ring, wrapped, err
}

// ErrChanged means that the keyring was changed in the meantime, so that this change did
// not happen.
var ErrChanged = errors.New("the keyring was changed in the meantime: try again")

// Rotate adds a key, makes it the primary one and returns its id. Older keys still open
// the records that they sealed, until the stores have resealed them. Error: ErrChanged.
func (k *Keyring) Rotate(ctx context.Context) (id uint32, err error) {
	err = k.change(ctx, nil, func() (*seal.Ring, error) {
		next := k.ring.Rotated()
		id = next.Primary()
		return next, nil
	})
	return id, err
}

// Prune drops all keys but the primary one and returns their ids. The caller must have
// sealed everything in the file with the key sealedWith. If that is not the primary key,
// the error is ErrChanged.
func (k *Keyring) Prune(ctx context.Context, sealedWith uint32) (dropped []uint32, err error) {
	err = k.change(ctx, nil, func() (pruned *seal.Ring, err error) {
		pruned, dropped = k.ring.Pruned()
		if pruned.Primary() != sealedWith {
			return nil, ErrChanged
		}
		return pruned, nil
	})
	return dropped, err
}

// Rewrap wraps the keyring with another key-encryption key. From then on only that key
// opens the file. Error: ErrChanged.
func (k *Keyring) Rewrap(ctx context.Context, kek *seal.Key) error {
	return k.change(ctx, kek, func() (*seal.Ring, error) { return k.ring, nil })
}

// NoteSigned notes in the keyring that its state file has a MAC over all rows, so that
// from now on a file without one is refused. Error: ErrChanged.
func (k *Keyring) NoteSigned(ctx context.Context) error {
	return k.change(ctx, nil, func() (*seal.Ring, error) { return k.ring.AsSigned(), nil })
}

// change replaces the keyring in the file by the result of next, wrapped with kek or, if
// kek is nil, with the same key as before. Memory changes once the new keyring is
// durable. If the file no longer has the keyring from which next started, nothing
// changes.
func (k *Keyring) change(ctx context.Context, kek *seal.Key, next func() (*seal.Ring, error)) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	before, kek := k.begin(kek)
	defer k.begin(nil)
	ring, err := next()
	if err != nil {
		return err
	}
	wrapped, err := ring.Wrap(kek, k.file.ID())
	if err != nil {
		return err
	}
	swapped, err := k.file.SwapKeyring(ctx, before, wrapped)
	if err != nil {
		return fmt.Errorf("storing the keyring: %w", err)
	}
	if !swapped {
		return ErrChanged
	}
	return nil
}

// begin sets nextKEK, and returns the wrapped keyring and the key to wrap the next one
// with.
func (k *Keyring) begin(next *seal.Key) (wrapped []byte, kek *seal.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nextKEK = next
	if next == nil {
		next = k.kek
	}
	return k.wrapped, next
}
