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
func (o *Office) Entries(after uint64, last, limit int) ([]audit.Entry, error) {
	if last > 0 {
		return o.Audit.Tail(min(last, readAtMost))
	}
	if limit <= 0 || limit > readAtMost {
		limit = readAtMost
	}
	return o.Audit.Read(after, limit)
}

// An AuditReport says whether the audit log is as it was written.
type AuditReport struct {
	Entries int
	Problem string // what is wrong first and where; empty if nothing is
	Anchor  string // the log's head, to be kept outside
}

// VerifyAudit goes through the whole log and, unless it is empty, makes sure
// that the log still holds the anchor.
func (o *Office) VerifyAudit(ctx context.Context, anchor string) (AuditReport, error) {
	found, err := o.Audit.Verify(ctx)
	if ctx.Err() != nil {
		return AuditReport{}, ctx.Err()
	}
	if err == nil && anchor != "" {
		err = o.Audit.CheckAnchor(anchor)
	}
	report := AuditReport{Entries: found.Entries}
	if err != nil {
		report.Problem = err.Error()
		return report, nil
	}
	head, err := o.Audit.Anchor()
	report.Anchor = head.String()
	return report, err
}

// PruneAudit drops entries older than that and returns how many they were. The
// error is ErrClock after a jump of the clock, by which before may be wrong.
func (o *Office) PruneAudit(ctx context.Context, caller secret.Caller, before time.Time) (int, error) {
	if o.clock.advance().Ahead > 0 {
		return 0, ErrClock
	}
	return o.Audit.Prune(ctx, before, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
}

// MendAudit lets a log go on whose head is damaged, and reports whether it was.
func (o *Office) MendAudit(ctx context.Context, caller secret.Caller) (mended bool, err error) {
	return o.Audit.Mend(ctx, secret.Event{Subject: caller.Subject, From: caller.From, Request: caller.Request})
}
