package strongroom

import (
	"context"
	"io"
	"net/http"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/server"
)

// Compact returns unused space to the file system.
func (a *handlers) Compact(ctx context.Context, _ gen.CompactRequestObject) (gen.CompactResponseObject, error) {
	before, after, err := a.admin.Compact(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.Compact200JSONResponse{Before: int(before), After: int(after)}, nil
}

// removal says what a request wants to happen after it has removed something for good.
func removal(noCompact *bool) admin.Removal {
	if optional(noCompact) {
		return admin.KeepInFiles
	}
	return admin.FromFiles
}

// compaction is empty if the file cannot be read, which a finding says.
func (a *handlers) compaction() gen.Compaction {
	c, err := a.admin.File.Compaction()
	if err != nil {
		return gen.Compaction{}
	}
	return gen.Compaction{Since: set(c.Since.UTC()), Ended: set(c.Ended), Removed: set(c.Removed)}
}

// ConfirmClock makes the clock trusted after a jump.
func (a *handlers) ConfirmClock(ctx context.Context, _ gen.ConfirmClockRequestObject) (gen.ConfirmClockResponseObject, error) {
	if err := a.admin.ConfirmClock(ctx, auth.Caller(ctx)); err != nil {
		return nil, err
	}
	return gen.ConfirmClock204Response{}, nil
}

// Doctor runs all checks.
func (a *handlers) Doctor(ctx context.Context, _ gen.DoctorRequestObject) (gen.DoctorResponseObject, error) {
	findings, err := a.admin.Examine(ctx)
	if err != nil {
		return nil, err
	}
	out := gen.Doctor200JSONResponse{}
	for _, f := range append(findings, a.program.Findings(ctx)...) {
		out = append(out, finding(f))
	}
	return out, nil
}

func finding(f admin.Finding) gen.Finding {
	return gen.Finding{About: f.About, Ok: f.OK, Warning: f.Warning, Text: f.Text}
}

// Backup streams a backup.
func (a *handlers) Backup(ctx context.Context, req gen.BackupRequestObject) (gen.BackupResponseObject, error) {
	recipient := ""
	if req.Body.Recipient != nil {
		recipient = *req.Body.Recipient
	}
	return backupAnswer(func(w io.Writer) error {
		return a.admin.Backup(ctx, auth.Caller(ctx), recipient, w)
	}), nil
}

// A backupAnswer writes the backup while it is made.
type backupAnswer func(io.Writer) error

func (write backupAnswer) VisitBackupResponse(w http.ResponseWriter) error {
	return server.Download(w, "", write)
}
