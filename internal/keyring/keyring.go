// Package keyring keeps the keys of a state file: in the file itself, sealed
// with a key-encryption key that comes from elsewhere (see [Source]).
package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/strongroom/strongroom/internal/seal"
)

// A File holds the wrapped keyring. It is *state.File.
type File interface {
	ID() string
	Keyring() (wrapped []byte, err error)
	SetKeyring(ctx context.Context, wrapped []byte) error
}

// A Source is where the key-encryption key comes from. What cannot hand its
// key out, such as a key management service, hands out one that it opens.
type Source interface {
	Key(ctx context.Context) (*seal.Key, error)
}

// A Keyring is the ring of one state file. It is safe for concurrent use.
type Keyring struct {
	file File
	ring *seal.Ring

	mu  sync.Mutex // held while the ring is changed
	kek *seal.Key
}

// New returns a new ring, wrapped for the state file of that id: for
// state.Create.
func New(ctx context.Context, source Source, stateID string) (wrapped []byte, err error) {
	kek, err := source.Key(ctx)
	if err != nil {
		return nil, err
	}
	return seal.NewRing().Wrap(kek, stateID)
}

// Open opens the ring in the file. Errors: those of the source, and
// seal.ErrWrongKey.
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

// Ring is the ring to seal with. It stays the same while its keys change.
func (k *Keyring) Ring() *seal.Ring { return k.ring }

// ForBackup returns a ring to seal a backup with, and the same ring wrapped. It
// has the primary key alone, and stays as it is when the keyring is rotated.
func (k *Keyring) ForBackup() (ring *seal.Ring, wrapped []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ring, _ = k.ring.Pruned()
	wrapped, err = ring.Wrap(k.kek, k.file.ID())
	return ring, wrapped, err
}

// Rotate adds a key and makes it the primary one, and returns its id. What
// other keys have sealed still opens; to seal it anew is the stores' business.
func (k *Keyring) Rotate(ctx context.Context) (id uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.ring.Rotated()
	if err := k.storeLocked(ctx, next, k.kek); err != nil {
		return 0, err
	}
	return next.Primary(), nil
}

// ErrRotated means that the key that everything was sealed with is not the
// primary one any more.
var ErrRotated = errors.New("the keyring has been rotated meanwhile")

// Prune forgets all keys but the primary one, and returns the ids of those
// that it forgot. Everything in the file must be sealed with the key sealedWith,
// and if that is not the primary one, Prune returns ErrRotated.
func (k *Keyring) Prune(ctx context.Context, sealedWith uint32) (dropped []uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring.Primary() != sealedWith {
		return nil, ErrRotated
	}
	pruned, dropped := k.ring.Pruned()
	return dropped, k.storeLocked(ctx, pruned, k.kek)
}

// Rewrap seals the ring with another key-encryption key. From then on, the
// file opens with that one only.
func (k *Keyring) Rewrap(ctx context.Context, kek *seal.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.storeLocked(ctx, k.ring, kek); err != nil {
		return err
	}
	k.kek = kek
	return nil
}

// storeLocked makes the ring durable before anything is sealed with it.
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
