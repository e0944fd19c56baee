package strongroom

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

type timed struct {
	http.ResponseWriter
	deadline time.Time
}

func (w *timed) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// A slow client may continue; one that has stopped reading is disconnected.
func TestEachPieceOfABackupHasItsOwnDeadline(t *testing.T) {
	w := &timed{ResponseWriter: httptest.NewRecorder()}
	err := backupAnswer(func(to http.ResponseWriter) error {
		for range 3 {
			w.deadline = time.Time{}
			if _, err := to.Write([]byte("piece")); err != nil {
				return err
			}
			if left := time.Until(w.deadline); left <= 0 || left > stalled {
				t.Errorf("a piece has %v", left)
			}
		}
		return nil
	}).VisitBackupResponse(w)
	if err != nil || !w.deadline.IsZero() {
		t.Errorf("in the end: %v, and the connection has until %v", err, w.deadline)
	}
}
