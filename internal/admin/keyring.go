package admin

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
)

// Actions on the keyring in the audit log.
const (
	rotateKeyring secret.Action = "keyring rotate"
	pruneKeyring  secret.Action = "keyring prune"
	rewrapKeyring secret.Action = "keyring rewrap"
)

// ErrResealing means that records are being resealed, so the keyring cannot change now.
var ErrResealing = errors.New("a reseal is still in progress: try again when it is done")

// ErrKeyringChanged is [keyring.ErrChanged].
var ErrKeyringChanged = keyring.ErrChanged

// A Keyring is the public state of a keyring.
type Keyring struct {
	Primary   uint32
	IDs       []uint32
	Resealing bool
	Resealed  int // rows checked since the process began
	// Since is when the primary key was created; zero if it is not known: see FindPast.
	Since time.Time
}

// KeyringNow returns the state of the keyring.
func (s *Service) KeyringNow() Keyring {
	s.mu.Lock()
	defer s.mu.Unlock()
	ring := s.Keyring.Ring()
	return Keyring{ring.Primary(), ring.IDs(), s.reseal.done != nil, s.reseal.rows, s.rotated}
}

// Rotate creates a new primary key and starts resealing in the background. Error:
// ErrResealing.
func (s *Service) Rotate(ctx context.Context, caller secret.Caller) (Keyring, error) {
	err := s.record(ctx, caller, rotateKeyring, func() error {
		// Claim the reseal before the new key exists: otherwise a concurrent Prune could
		// drop the old key, which still seals all records.
		if err := s.beginReseal(ctx); err != nil {
			return err
		}
		if _, err := s.Parts.Keyring.Rotate(ctx); err != nil {
			s.endReseal()
			return err
		}
		s.happened(&s.rotated, time.Now())
		s.resealInBackground()
		return nil
	})
	return s.KeyringNow(), err
}

// Prune drops retired keys after resealing any record that needs them. Error:
// ErrResealing.
func (s *Service) Prune(ctx context.Context, caller secret.Caller, how Removal) (Keyring, error) {
	err := s.record(ctx, caller, pruneKeyring, func() error {
		if err := s.beginReseal(ctx); err != nil {
			return err
		}
		defer s.endReseal()
		// Reseal again to be certain: a record under a dropped key would be lost.
		primary := s.Parts.Keyring.Ring().Primary()
		if err := s.resealAll(ctx); err != nil {
			return err
		}
		_, err := s.Parts.Keyring.Prune(ctx, primary)
		return err
	})
	if err == nil {
		s.removed(ctx, how)
	}
	return s.KeyringNow(), err
}

// Rewrap wraps the keyring with another key-encryption key.
func (s *Service) Rewrap(ctx context.Context, caller secret.Caller, kek *seal.Key, how Removal) (Keyring, error) {
	err := s.record(ctx, caller, rewrapKeyring, func() error { return s.Parts.Keyring.Rewrap(ctx, kek) })
	if err == nil {
		s.removed(ctx, how)
	}
	return s.KeyringNow(), err
}

// WaitForReseal returns when no reseal is running, or with the context's error.
func (s *Service) WaitForReseal(ctx context.Context) error {
	s.mu.Lock()
	done := s.reseal.done
	s.mu.Unlock()
	return wait(ctx, done)
}

// wait returns when done is closed or nil, or with the context's error.
func wait(ctx context.Context, done <-chan struct{}) error {
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

// resumeReseal starts a reseal in the background if there are retired keys, unless this
// process has done one since the last rotation or another is running.
func (s *Service) resumeReseal() {
	ring := s.Parts.Keyring.Ring()
	s.mu.Lock()
	needed := len(ring.IDs()) > 1 && s.reseal.sealed != ring.Primary()
	s.mu.Unlock()
	if !needed {
		return
	}
	switch err := s.beginReseal(s.lifetime); {
	case err == nil:
		s.resealInBackground()
	case !errors.Is(err, ErrResealing) && s.lifetime.Err() == nil:
		s.log.Error("resuming the reseal of records", "error", err)
	}
}

// resealInBackground reseals all records. The caller has called beginReseal.
func (s *Service) resealInBackground() {
	s.background.Go(func() {
		defer s.endReseal()
		primary := s.Parts.Keyring.Ring().Primary()
		switch err := s.resealAll(s.lifetime); {
		case err == nil:
			s.mu.Lock()
			s.reseal.sealed = primary
			s.mu.Unlock()
			s.log.Info("all records are sealed with the primary key", "key", primary)
		case s.lifetime.Err() == nil:
			s.log.Error("resealing records", "error", err)
		}
	})
}

// beginReseal returns ErrResealing while a reseal is running, here or on another node.
func (s *Service) beginReseal(ctx context.Context) error {
	s.mu.Lock()
	running := s.reseal.done != nil
	if !running {
		s.reseal.done = make(chan struct{})
	}
	s.mu.Unlock()
	if running {
		return ErrResealing
	}
	lease, err := Take(ctx, s.Duties, resealDuty)
	if lease == nil {
		s.endReseal()
		return cmp.Or(err, ErrResealing)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reseal.lease = lease
	return nil
}

func (s *Service) endReseal() {
	s.mu.Lock()
	lease := s.reseal.lease
	s.reseal.lease = nil
	s.mu.Unlock()
	if lease != nil {
		lease.Release() // before the next reseal can begin here
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.reseal.done)
	s.reseal.done = nil
}

// A resealer is a part of the state file with sealed rows.
type resealer interface {
	Reseal(ctx context.Context, progress func(rows int)) error
}

func (s *Service) resealAll(ctx context.Context) error {
	var all []resealer
	for _, name := range slices.Sorted(maps.Keys(s.Stores)) {
		all = append(all, s.Stores[name])
	}
	before := 0
	for _, part := range append(all, s.Keys, s.Sessions, s.LastAccess) {
		rows := 0
		err := part.Reseal(ctx, func(n int) {
			rows = n
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reseal.rows = before + n
		})
		if err != nil {
			return err
		}
		before += rows
	}
	return nil
}
