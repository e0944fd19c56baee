package admin

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// A state file keeps deleted and replaced content in free pages and in old records of its
// journal, until they are used again. Operations that remove something for good therefore
// end with a compaction. It runs in the background, for several of them once.

// A Removal says what happens after content was removed for good.
type Removal int

const (
	FromFiles   Removal = iota // it leaves the files, by a compaction in the background
	KeepInFiles                // it stays in free pages and old records until a later compaction
)

// removed notes that content was removed for good, and starts a compaction, or another one
// after the one in progress.
func (s *Service) removed(ctx context.Context, how Removal) {
	if err := s.File.Removed(ctx); err != nil {
		s.log.Error("noting that a compaction is needed: run strongroom compact", "error", err)
	}
	if how == KeepInFiles {
		return
	}
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
		s.log.Info("removing what was deleted from the " + s.fileKind())
		before := s.File.Bytes()
		err := s.File.Compact(s.lifetime) // fails at once after a stop
		if err == nil {
			s.log.Info("what was deleted has left the "+s.fileKind(), "bytes before", before, "bytes", s.File.Bytes())
		} else {
			s.log.Error("what was deleted may still be in the "+s.fileKind()+": run strongroom compact", "error", err)
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

// CompactionFindings reports content that was removed for good and is still in the files.
func (s *Service) CompactionFindings() []Finding {
	const about = "compaction"
	c, err := s.File.Compaction()
	switch {
	case err != nil:
		return []Finding{wrong(about, "%v", err)}
	case !c.Since.IsZero():
		return []Finding{fine(about, "in progress since %s", c.Since.UTC().Format(time.RFC3339))}
	case !c.Removed.IsZero():
		f := fine(about, "what was removed for good, last on %s, is still in the files, encrypted: run strongroom compact", c.Removed.Format(time.RFC3339))
		f.Warning = true
		return []Finding{f}
	case s.File.IsCache():
		return []Finding{fine(about, "nothing that was removed for good is left in this cache; the database and other caches keep it for a time")}
	default:
		return []Finding{fine(about, "nothing that was removed for good is left in the files")}
	}
}

// Destroy removes a secret for good, and its content from the files.
func (s *Service) Destroy(ctx context.Context, caller secret.Caller, secrets *secret.Service, ref secret.Ref, how Removal) error {
	err := secrets.Destroy(ctx, caller, ref)
	if err == nil {
		s.removed(ctx, how)
	}
	return err
}

// Erase removes all secrets of an owner for good, and their content from the files.
func (s *Service) Erase(ctx context.Context, caller secret.Caller, secrets *secret.Service, owner secret.Owner, how Removal) error {
	err := secrets.Erase(ctx, caller, owner)
	if err == nil {
		s.removed(ctx, how)
	}
	return err
}
