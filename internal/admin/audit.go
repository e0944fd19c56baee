package admin

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

// ErrPruned is [audit.ErrPruned].
var ErrPruned = audit.ErrPruned

// readAtMost limits the entries of one response; an export reads page by page.
const readAtMost = 1000

// Entries returns entries of the audit log in order: those after the given number, or the
// last ones if last is set.
func (s *Service) Entries(after uint64, last, limit int) ([]audit.Entry, error) {
	if last > 0 {
		return s.Audit.Tail(min(last, readAtMost))
	}
	if limit <= 0 || limit > readAtMost {
		limit = readAtMost
	}
	return s.Audit.Read(after, limit)
}

// An AuditReport is the result of a verification of the audit log.
type AuditReport struct {
	Entries int
	Problem string // the first problem and where it is; empty if there is none
	Anchor  string // an anchor of the log's head, to be kept elsewhere
}

// VerifyAudit verifies the whole log, compares all rows of the state file with their MAC
// and, if anchor is not empty, checks that the log still has the anchored entry.
func (s *Service) VerifyAudit(ctx context.Context, anchor string) (AuditReport, error) {
	found, err := s.Audit.Verify(ctx)
	if ctx.Err() != nil {
		return AuditReport{}, ctx.Err()
	}
	if err == nil {
		err = s.File.Verify()
	}
	if err == nil && anchor != "" {
		err = s.Audit.CheckAnchor(anchor)
	}
	report := AuditReport{Entries: found.Entries}
	if err != nil {
		report.Problem = err.Error()
		return report, nil
	}
	head, err := s.Audit.Anchor()
	report.Anchor = head.String()
	return report, err
}

// PruneAudit drops entries older than before and returns their number. The error is
// ErrClock after a jump of the clock, which could make before wrong.
func (s *Service) PruneAudit(ctx context.Context, caller secret.Caller, before time.Time) (int, error) {
	if s.clock.advance().Ahead > 0 {
		return 0, ErrClock
	}
	return s.Audit.Prune(ctx, before, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
}

// MendAudit makes an altered state file count as it is, and repairs a log with a damaged
// head. It reports whether there was something to mend.
func (s *Service) MendAudit(ctx context.Context, caller secret.Caller) (mended bool, err error) {
	altered, err := s.File.Accept()
	if err != nil {
		return false, err
	}
	mended, err = s.Audit.Mend(ctx, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
	if err == nil && altered {
		err = s.record(ctx, caller, acceptState, func() error { return nil })
	}
	return mended || altered, err
}

// acceptState is an action in the audit log: the state file counts as it was found.
const acceptState secret.Action = "state accept"
