package strongroom

import (
	"context"
	"errors"
	"net/http"
	"time"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/auth"
)

// Compact returns unused space to the file system.
func (a *handlers) Compact(ctx context.Context, _ gen.CompactRequestObject) (gen.CompactResponseObject, error) {
	before, after, err := a.admin.Compact(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.Compact200JSONResponse{Before: int(before), After: int(after)}, nil
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
	for _, f := range append(findings, a.program.Findings()...) {
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
	return backupAnswer(func(w http.ResponseWriter) error {
		return a.admin.Backup(ctx, auth.Caller(ctx), recipient, w)
	}), nil
}

// A backupAnswer writes the backup while it is made.
type backupAnswer func(w http.ResponseWriter) error

func (write backupAnswer) VisitBackupResponse(w http.ResponseWriter) error {
	started := &startedWriter{ResponseWriter: w}
	err := write(started)
	if err != nil && started.yes {
		panic(http.ErrAbortHandler) // a truncated backup must not look complete
	}
	if started.yes { // the connection may be reused
		err = errors.Join(err, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
	}
	return err
}

// stalled limits the time for a client to accept the next piece of a backup. During a
// backup freed pages of the state file cannot be reused, and in the end writes would
// block, so a client that has stopped reading is disconnected.
const stalled = 30 * time.Second

// A startedWriter records whether the response has begun, and sets its content type.
type startedWriter struct {
	http.ResponseWriter
	yes bool
}

func (w *startedWriter) Write(p []byte) (int, error) {
	if !w.yes {
		w.yes = true
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
