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

// Compact gives unused room back to the disk.
func (a *handlers) Compact(ctx context.Context, _ gen.CompactRequestObject) (gen.CompactResponseObject, error) {
	before, after, err := a.admin.Compact(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.Compact200JSONResponse{Before: int(before), After: int(after)}, nil
}

// ConfirmClock believes the clock after a jump.
func (a *handlers) ConfirmClock(ctx context.Context, _ gen.ConfirmClockRequestObject) (gen.ConfirmClockResponseObject, error) {
	if err := a.admin.ConfirmClock(ctx, auth.Caller(ctx)); err != nil {
		return nil, err
	}
	return gen.ConfirmClock204Response{}, nil
}

// Doctor looks for what is wrong.
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

// Backup takes a backup.
func (a *handlers) Backup(ctx context.Context, req gen.BackupRequestObject) (gen.BackupResponseObject, error) {
	recipient := ""
	if req.Body.Recipient != nil {
		recipient = *req.Body.Recipient
	}
	return backupAnswer(func(w http.ResponseWriter) error {
		return a.admin.Backup(ctx, auth.Caller(ctx), recipient, w)
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
	if started.yes { // the connection may be used for more
		err = errors.Join(err, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
	}
	return err
}

// stalled is how long whoever takes a backup may take for the next piece. While
// it is taken no room in the state file can be used again, and in the end no
// write could go on: a client that was stopped must not hold it up.
const stalled = 30 * time.Second

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
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
