// Package keyring manages the sealing keys of a state file. They are stored in the file,
// wrapped with a key-encryption key that is kept elsewhere (see [Source]).
package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/internal/seal"
)

// A File stores the wrapped keyring. It is *state.File.
type File interface {
	ID() string
	Keyring() (wrapped []byte, err error)
	SetKeyring(ctx context.Context, wrapped []byte) error
}

// A Source provides the key-encryption key. A key management service that never exports
// its keys provides a data key that it has decrypted.
type Source interface {
	Key(ctx context.Context) (*seal.Key, error)
}

// A Keyring manages the sealing keys of one state file. It is safe for concurrent use.
type Keyring struct {
	file File
	ring *seal.Ring

	mu  sync.Mutex // held during changes
	kek *seal.Key
}

// New creates a keyring and returns it wrapped for the state file with this id, as
// state.Create needs it.
func New(ctx context.Context, source Source, stateID string) (wrapped []byte, err error) {
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, err
	}
	return seal.NewRing().Wrap(kek, stateID)
}

// Open opens the keyring of the file. Errors: those of the source, and seal.ErrWrongKey.
func Open(ctx context.Context, file File, source Source) (*Keyring, error) {
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, err
	}
	wrapped, err := file.Keyring()
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	ring, err := seal.Unwrap(wrapped, kek, file.ID())
	if err != nil {
		return nil, err
	}
	return &Keyring{file: file, ring: ring, kek: kek}, nil
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

// Rotate adds a key, makes it the primary one and returns its id. Older keys still open
// what they sealed; the stores have to reseal it.
func (k *Keyring) Rotate(ctx context.Context) (id uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.ring.Rotated()
	if err := k.storeLocked(ctx, next, k.kek); err != nil {
		return 0, err
	}
	return next.Primary(), nil
}

// ErrRotated means that the keyring was rotated after the records had been resealed.
var ErrRotated = errors.New("the keyring was rotated in the meantime")

// Prune drops all keys but the primary one and returns their ids. The caller must have
// sealed everything in the file with the key sealedWith. If that is not the primary key,
// the error is ErrRotated.
func (k *Keyring) Prune(ctx context.Context, sealedWith uint32) (dropped []uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring.Primary() != sealedWith {
		return nil, ErrRotated
	}
	pruned, dropped := k.ring.Pruned()
	return dropped, k.storeLocked(ctx, pruned, k.kek)
}

// Rewrap wraps the keyring with another key-encryption key. From then on only that key
// opens the file.
func (k *Keyring) Rewrap(ctx context.Context, kek *seal.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.storeLocked(ctx, k.ring, kek); err != nil {
		return err
	}
	k.kek = kek
	return nil
}

// storeLocked stores the ring durably before anything is sealed with it.
func (k *Keyring) storeLocked(ctx context.Context, ring *seal.Ring, kek *seal.Key) error {
	wrapped, err := ring.Wrap(kek, k.file.ID())
	if err != nil {
		return err
	}
	if err := k.file.SetKeyring(ctx, wrapped); err != nil {
		return fmt.Errorf("storing the keyring: %w", err)
	}
	k.ring.Adopt(ring)
	return nil
}
