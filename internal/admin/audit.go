package admin

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

// readAtMost bounds one answer; an export goes page by page.
const readAtMost = 1000

// Entries returns entries of the audit log behind one, in order, or with last
// so many from its end.
func (s *Service) Entries(after uint64, last, limit int) ([]audit.Entry, error) {
	if last > 0 {
		return s.Audit.Tail(min(last, readAtMost))
	}
	if limit <= 0 || limit > readAtMost {
		limit = readAtMost
	}
	return s.Audit.Read(after, limit)
}

// An AuditReport says whether the audit log is as it was written.
type AuditReport struct {
	Entries int
	Problem string // what is wrong first and where; empty if nothing is
	Anchor  string // the log's head, to be kept outside
}

// VerifyAudit goes through the whole log and, unless it is empty, makes sure
// that the log still holds the anchor.
func (s *Service) VerifyAudit(ctx context.Context, anchor string) (AuditReport, error) {
	found, err := s.Audit.Verify(ctx)
	if ctx.Err() != nil {
		return AuditReport{}, ctx.Err()
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

// PruneAudit drops entries older than that and returns how many they were. The
// error is ErrClock after a jump of the clock, by which before may be wrong.
func (s *Service) PruneAudit(ctx context.Context, caller secret.Caller, before time.Time) (int, error) {
	if s.clock.advance().Ahead > 0 {
		return 0, ErrClock
	}
	return s.Audit.Prune(ctx, before, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
}

// MendAudit lets a log go on whose head is damaged, and reports whether it was.
func (s *Service) MendAudit(ctx context.Context, caller secret.Caller) (mended bool, err error) {
	return s.Audit.Mend(ctx, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
}
