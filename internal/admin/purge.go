package admin

import (
	"context"

	"github.com/strongroom/strongroom/internal/secret"
)

// A state file keeps deleted and replaced content in free pages and in old records of its
// journal, until they are used again. Operations that remove something for good therefore
// end with a compaction. It runs in the background, for several of them once.

// purge starts a compaction, or another one after the one in progress.
func (s *Service) purge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purging.wanted = true
	if s.purging.done == nil {
		s.purging.done = make(chan struct{})
		s.background.Go(s.purgeWanted)
	}
}

// purging is the state of the compaction in the background.
type purging struct {
	wanted bool          // one has to begin after this moment
	done   chan struct{} // closed when none is running any more; nil while none is
	err    error         // of the last one
}

func (s *Service) purgeWanted() {
	for s.purgeIsWanted() {
		s.log.Info("removing what was deleted from the state file")
		before := s.File.Bytes()
		err := s.File.Compact(s.lifetime) // fails at once after a stop
		if err == nil {
			s.log.Info("what was deleted has left the state file and its journal", "bytes before", before, "bytes", s.File.Bytes())
		} else {
			s.log.Error("what was deleted may still be in the state file or its journal: run strongroom compact", "error", err)
		}
		s.mu.Lock()
		s.purging.err = err
		s.mu.Unlock()
	}
}

func (s *Service) purgeIsWanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.purging.wanted
	s.purging.wanted = false
	if !wanted {
		close(s.purging.done)
		s.purging.done = nil
	}
	return wanted
}

// WaitForPurge returns when no compaction runs in the background, with the error of the
// last one or of the context.
func (s *Service) WaitForPurge(ctx context.Context) error {
	s.mu.Lock()
	done := s.purging.done
	s.mu.Unlock()
	if err := wait(ctx, done); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.purging.err
}

// Purging reports whether a compaction runs in the background.
func (s *Service) Purging() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.purging.done != nil
}

// Destroy removes a secret for good, and its content from the files.
func (s *Service) Destroy(ctx context.Context, caller secret.Caller, secrets *secret.Service, ref secret.Ref) error {
	err := secrets.Destroy(ctx, caller, ref)
	if err == nil {
		s.purge()
	}
	return err
}

// Erase removes all secrets of an owner for good, and their content from the files.
func (s *Service) Erase(ctx context.Context, caller secret.Caller, secrets *secret.Service, owner secret.Owner) error {
	err := secrets.Erase(ctx, caller, owner)
	if err == nil {
		s.purge()
	}
	return err
}
