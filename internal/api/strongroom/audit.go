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
func (a *api) ReadAudit(_ context.Context, req gen.ReadAuditRequestObject) (gen.ReadAuditResponseObject, error) {
	after := number(req.Body.After)
	if after < 0 {
		return nil, &secret.InvalidError{Field: "after", Reason: "must not be negative"}
	}
	entries, err := a.office.Entries(uint64(after), number(req.Body.Last), number(req.Body.Limit))
	if err != nil {
		return nil, err
	}
	lines := auditLines{}
	for _, e := range entries {
		lines = append(lines, e)
	}
	return lines, nil
}

// auditLines are entries as the log exports them, in its order of fields.
type auditLines []json.Marshaler

func (l auditLines) VisitReadAuditResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, l)
}

func number(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// VerifyAudit goes through the audit log.
func (a *api) VerifyAudit(ctx context.Context, req gen.VerifyAuditRequestObject) (gen.VerifyAuditResponseObject, error) {
	anchor := ""
	if req.Body.Anchor != nil {
		anchor = *req.Body.Anchor
	}
	r, err := a.office.VerifyAudit(ctx, anchor)
	if err != nil {
		return nil, err
	}
	return gen.VerifyAudit200JSONResponse{Entries: r.Entries, Ok: r.Problem == "", Problem: r.Problem, Anchor: r.Anchor}, nil
}

// PruneAudit drops old entries.
func (a *api) PruneAudit(ctx context.Context, req gen.PruneAuditRequestObject) (gen.PruneAuditResponseObject, error) {
	before, err := time.Parse(time.RFC3339, req.Body.Before)
	if err != nil {
		return nil, &secret.InvalidError{Field: "before", Reason: "must be a time as in RFC 3339"}
	}
	dropped, err := a.office.PruneAudit(ctx, auth.Caller(ctx), before)
	if err != nil {
		return nil, err
	}
	return gen.PruneAudit200JSONResponse{Count: dropped}, nil
}

// Doctor looks for what is wrong.
func (a *api) Doctor(ctx context.Context, _ gen.DoctorRequestObject) (gen.DoctorResponseObject, error) {
	findings, err := a.office.Examine(ctx)
	if err != nil {
		return nil, err
	}
	out := gen.Doctor200JSONResponse{}
	for _, f := range findings {
		out = append(out, gen.Finding{About: f.About, Ok: f.OK, Text: f.Text})
	}
	return out, nil
}

// Backup takes a backup.
func (a *api) Backup(ctx context.Context, req gen.BackupRequestObject) (gen.BackupResponseObject, error) {
	recipient := ""
	if req.Body.Recipient != nil {
		recipient = *req.Body.Recipient
	}
	return backupAnswer(func(w http.ResponseWriter) error {
		return a.office.Backup(ctx, auth.Caller(ctx), recipient, w)
	}), nil
}

// A backupAnswer writes the backup as it is taken.
type backupAnswer func(w http.ResponseWriter) error

func (write backupAnswer) VisitBackupResponse(w http.ResponseWriter) error {
	started := &startedWriter{ResponseWriter: w}
	err := write(started)
	if err != nil && started.yes {
		panic(http.ErrAbortHandler) // a backup that is cut off must not look whole
	}
	return err
}

// A startedWriter knows whether an answer has begun, for which it sets the
// type.
type startedWriter struct {
	http.ResponseWriter
	yes bool
}

func (w *startedWriter) Write(p []byte) (int, error) {
	if !w.yes {
		w.yes = true
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	return w.ResponseWriter.Write(p)
}
