package strongroom

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// ReadAudit returns entries of the audit log.
func (a *handlers) ReadAudit(_ context.Context, req gen.ReadAuditRequestObject) (gen.ReadAuditResponseObject, error) {
	after := max(optional(req.Body.After), 0)
	entries, err := a.admin.Entries(uint64(after), optional(req.Body.Last), optional(req.Body.Limit))
	if err != nil {
		return nil, err
	}
	lines := auditLines{}
	for _, e := range entries {
		lines = append(lines, e)
	}
	return lines, nil
}

// auditLines are entries encoded as in an export, with the same order of fields.
type auditLines []json.Marshaler

func (l auditLines) VisitReadAuditResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, l)
}

// VerifyAudit verifies the audit log.
func (a *handlers) VerifyAudit(ctx context.Context, req gen.VerifyAuditRequestObject) (gen.VerifyAuditResponseObject, error) {
	if err := notEmptied("anchor", req.Body.Anchor); err != nil {
		return nil, err
	}
	r, err := a.admin.VerifyAudit(ctx, optional(req.Body.Anchor))
	if err != nil {
		return nil, err
	}
	return gen.VerifyAudit200JSONResponse{Entries: r.Entries, Ok: r.Problem == "", Problem: r.Problem, Anchor: r.Anchor}, nil
}

// PruneAudit drops old entries.
func (a *handlers) PruneAudit(ctx context.Context, req gen.PruneAuditRequestObject) (gen.PruneAuditResponseObject, error) {
	before, err := time.Parse(time.RFC3339, req.Body.Before)
	if err != nil {
		return nil, &secret.InvalidError{Field: "before", Reason: "must be a time as in RFC 3339"}
	}
	dropped, err := a.admin.PruneAudit(ctx, auth.Caller(ctx), before)
	if err != nil {
		return nil, err
	}
	return gen.PruneAudit200JSONResponse{Count: dropped}, nil
}

// MendAudit repairs a log with a damaged head.
func (a *handlers) MendAudit(ctx context.Context, _ gen.MendAuditRequestObject) (gen.MendAuditResponseObject, error) {
	mended, err := a.admin.MendAudit(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.MendAudit200JSONResponse{Mended: mended}, nil
}
