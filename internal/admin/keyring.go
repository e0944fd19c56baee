package admin

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
)

// What goes on record of the keyring.
const (
	rotateKeyring secret.Action = "keyring rotate"
	pruneKeyring  secret.Action = "keyring prune"
	rewrapKeyring secret.Action = "keyring rewrap"
)

// ErrResealing means that records are being sealed anew, so that the keyring
// cannot change just now.
var ErrResealing = errors.New("records are still being sealed with the last new key: try again when that is done")

// A Keyring is what may be known of a keyring.
type Keyring struct {
	Primary   uint32
	IDs       []uint32
	Resealing bool
	Resealed  int // rows looked at since the process began
}

// KeyringNow returns the state of the keyring.
func (o *Office) KeyringNow() Keyring {
	o.mu.Lock()
	defer o.mu.Unlock()
	ring := o.Keyring.Ring()
	return Keyring{ring.Primary(), ring.IDs(), o.reseal.done != nil, o.reseal.rows}
}

// Rotate makes a new primary key, and begins to seal everything with it in the
// background. Error: ErrResealing.
func (o *Office) Rotate(ctx context.Context, caller secret.Caller) (Keyring, error) {
	err := o.record(ctx, caller, rotateKeyring, func() error {
		// Claimed before there is a new key: whoever prunes meanwhile would
		// drop the old one, with which everything is sealed.
		if !o.beginReseal() {
			return ErrResealing
		}
		if _, err := o.Parts.Keyring.Rotate(ctx); err != nil {
			o.endReseal()
			return err
		}
		o.resealInBackground()
		return nil
	})
	return o.KeyringNow(), err
}

// Prune drops retired keys once nothing in the file needs them. Error:
// ErrResealing.
func (o *Office) Prune(ctx context.Context, caller secret.Caller) (Keyring, error) {
	err := o.record(ctx, caller, pruneKeyring, func() error {
		if !o.beginReseal() {
			return ErrResealing
		}
		defer o.endReseal()
		// Once more, to be certain: what is left out would be lost.
		primary := o.Parts.Keyring.Ring().Primary()
		if err := o.resealAll(ctx); err != nil {
			return err
		}
		_, err := o.Parts.Keyring.Prune(ctx, primary)
		return err
	})
	return o.KeyringNow(), err
}

// Rewrap seals the keyring with another key-encryption key.
func (o *Office) Rewrap(ctx context.Context, caller secret.Caller, kek *seal.Key) (Keyring, error) {
	err := o.record(ctx, caller, rewrapKeyring, func() error { return o.Parts.Keyring.Rewrap(ctx, kek) })
	return o.KeyringNow(), err
}

// WaitForReseal returns when no record is being sealed anew any more, or with
// the context's error.
func (o *Office) WaitForReseal(ctx context.Context) error {
	o.mu.Lock()
	done := o.reseal.done
	o.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resealInBackground seals everything anew, which the caller has begun.
func (o *Office) resealInBackground() {
	o.background.Go(func() {
		defer o.endReseal()
		switch err := o.resealAll(o.lifetime); {
		case err == nil:
			o.log.Info("all records are sealed with the primary key", "key", o.Parts.Keyring.Ring().Primary())
		case o.lifetime.Err() == nil:
			o.log.Error("sealing records anew", "error", err)
		}
	})
}

func (o *Office) beginReseal() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reseal.done != nil {
		return false
	}
	o.reseal.done = make(chan struct{})
	return true
}

func (o *Office) endReseal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.reseal.done)
	o.reseal.done = nil
}

// A resealer is a part of the state file that the ring has sealed.
type resealer interface {
	Reseal(ctx context.Context, progress func(rows int)) error
}

func (o *Office) resealAll(ctx context.Context) error {
	var all []resealer
	for _, name := range slices.Sorted(maps.Keys(o.Stores)) {
		all = append(all, o.Stores[name])
	}
	before := 0
	for _, part := range append(all, o.Keys, o.Deliveries) {
		rows := 0
		err := part.Reseal(ctx, func(n int) {
			rows = n
			o.mu.Lock()
			defer o.mu.Unlock()
			o.reseal.rows = before + n
		})
		if err != nil {
			return err
		}
		before += rows
	}
	return nil
}
