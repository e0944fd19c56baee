package admin

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

// LastBackup returns the time of the last known backup of this file, or zero.
func (s *Service) LastBackup() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastBackup
}

// happened sets a time, unless a later one is known.
func (s *Service) happened(last *time.Time, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(*last) {
		*last = at
	}
}

const (
	// lookBack limits the entries that FindPast reads.
	lookBack = 200_000
	// lookAtOnce is the number of entries read at once.
	lookAtOnce = 1000
)

// FindPast searches the last 200,000 entries of the audit log in the background for the
// last backup and the last rotation of the keyring. Only its first call does anything.
func (s *Service) FindPast() { s.findPast.Do(func() { s.background.Go(s.readPast) }) }

func (s *Service) readPast() {
	last, err := s.Audit.Tail(1)
	if err != nil || len(last) == 0 {
		return
	}
	for end, read := last[0].Seq, uint64(0); end > 0 && read < lookBack && s.lifetime.Err() == nil; read += lookAtOnce {
		start := end - min(end, lookAtOnce)
		entries, err := s.Audit.Read(start, lookAtOnce)
		if err != nil || len(entries) == 0 {
			return // damaged or pruned
		}
		for _, e := range slices.Backward(entries) {
			if s.notePast(e) {
				return
			}
		}
		end = start
	}
}

// notePast takes the times from an entry. It reports whether all times are known.
func (s *Service) notePast(e audit.Entry) (complete bool) {
	if e.Event.Outcome == secret.Done && e.Event.Action == takeBackup {
		s.happened(&s.lastBackup, e.Event.Time)
	}
	if e.Event.Outcome == secret.Done && e.Event.Action == rotateKeyring || e.Seq == 1 { // the first was made with the keyring
		s.happened(&s.rotated, e.Event.Time)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lastBackup.IsZero() && !s.rotated.IsZero()
}
